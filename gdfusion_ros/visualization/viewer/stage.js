// The canvas: one camera and one orbit for up to two scenes, side by side (one above the other where it is narrow).

import * as THREE from 'three';
import { OrbitControls } from 'three/addons/controls/OrbitControls.js';

const OPENING = 42;  // of the shorter side of a picture [deg]

/** Where the camera stands and what it looks at, in parts of the grid's extent from its centre. */
export const VIEWPOINTS = {
  Behind: { eye: [-0.84, 0.10, 0.54], target: [-0.05, 0.01, -0.06] },
  Left: { eye: [0.12, 0.80, 0.42], target: [0, 0, -0.04] },
  Above: { eye: [-0.001, 0, 1.45], target: [0, 0, 0] },
};

export class Stage {
  constructor(canvas, background) {
    this.canvas = canvas;
    this.renderer = new THREE.WebGLRenderer({ canvas, antialias: true });
    this.renderer.setPixelRatio(Math.min(window.devicePixelRatio, 2));
    this.renderer.setScissorTest(true);
    this.renderer.setClearColor(background);
    this.renderer.shadowMap.enabled = true;
    this.renderer.shadowMap.autoUpdate = false;
    this.camera = new THREE.PerspectiveCamera(OPENING, 1);
    this.camera.up.set(0, 0, 1);
    this.controls = new OrbitControls(this.camera, canvas);
    Object.assign(this.controls, { maxPolarAngle: 0.495 * Math.PI, screenSpacePanning: false, zoomToCursor: true });
    this.controls.addEventListener('change', () => this.draw());
    this.scenes = [];
    new ResizeObserver(() => this.draw()).observe(canvas.parentElement);
  }

  /** Look at `grid` from one of VIEWPOINTS. */
  look(name, { shape, origin, voxelSize }) {
    const extent = shape.map((count, axis) => count * voxelSize[axis]);
    const reach = Math.max(...extent);
    Object.assign(this.camera, { near: 0.006 * reach, far: 12 * reach });
    Object.assign(this.controls, { minDistance: 0.04 * reach, maxDistance: 4 * reach });
    const place = (parts) => parts.map((part, axis) => origin[axis] + extent[axis] / 2 + part * reach);
    this.camera.position.set(...place(VIEWPOINTS[name].eye));
    this.controls.target.set(...place(VIEWPOINTS[name].target));
    this.controls.update();
    this.draw();
  }

  /** Draw before the next picture of the screen; scenes are GridScenes from the left, null for an empty part. */
  draw(scenes = this.scenes) {
    this.scenes = scenes;
    this.request ??= requestAnimationFrame(() => this.#draw());
  }

  /** The scene below a point of the page, and a ray into it; null beside them. */
  ray(x, y) {
    const frame = this.canvas.getBoundingClientRect();
    const inside = (box) => new THREE.Vector2(
      (x - frame.left - box.x) / box.width, (y - frame.top - box.y) / box.height);
    const part = this.#parts().find((box) => inside(box).clampScalar(0, 1).equals(inside(box)));
    if (!part?.scene) return null;
    this.#aim(part);
    const raycaster = new THREE.Raycaster();
    const { x: right, y: down } = inside(part);
    raycaster.setFromCamera(new THREE.Vector2(2 * right - 1, 1 - 2 * down), this.camera);
    return { scene: part.scene, ray: raycaster.ray };
  }

  /** Each scene's part of the canvas, from the upper left corner. */
  #parts() {
    const { clientWidth: width, clientHeight: height } = this.canvas.parentElement;
    const count = Math.max(this.scenes.length, 1), beside = width > height;
    return this.scenes.map((scene, index) => beside
      ? { scene, x: index * width / count, y: 0, width: width / count, height }
      : { scene, x: 0, y: index * height / count, width, height: height / count });
  }

  #aim({ width, height }) {
    this.camera.aspect = width / height;
    // OPENING holds for the shorter side, so that a tall picture does not cut off the sides.
    const side = Math.tan(THREE.MathUtils.degToRad(OPENING / 2)) / Math.min(this.camera.aspect / 1.4, 1);
    this.camera.fov = THREE.MathUtils.radToDeg(2 * Math.atan(side));
    this.camera.updateProjectionMatrix();
  }

  #draw() {
    this.request = null;
    const { clientWidth: width, clientHeight: height } = this.canvas.parentElement;
    if (!width || !height) return;
    if (width !== this.width || height !== this.height) this.renderer.setSize(width, height);
    Object.assign(this, { width, height });
    for (const part of this.#parts()) {
      const box = [part.x, height - part.y - part.height, part.width, part.height];
      this.renderer.setViewport(...box);
      this.renderer.setScissor(...box);
      this.renderer.clear();
      if (!part.scene) continue;
      this.#aim(part);
      this.renderer.shadowMap.needsUpdate = part.scene.changed;
      this.renderer.render(part.scene.scene, this.camera);
      part.scene.changed = false;
    }
  }
}
