// One grid as a three.js scene: instanced cubes, the vehicle, the ground's lines, sun and sky. z is up, metres.

import * as THREE from 'three';
import { exposed, firstHit, openness } from 'viewer/voxels.js';

const LINE = 0xb4bac3, INK = '#5b6470', VEHICLE = 0xfcfcfc;
const SUN = new THREE.Vector3(-0.42, -0.30, 0.86);
const LINES = 12;  // at most, on a side of the floor; every second one has its number

export class GridScene {
  /** `colors` are CSS colours by label, `vehicle` lower and upper corners of boxes. */
  constructor(colors, vehicle) {
    this.colors = colors.map((color) => new THREE.Color(color));
    this.scene = new THREE.Scene();
    this.scene.add(new THREE.HemisphereLight(0xffffff, 0x9a97a0, 2.1), vehicleOf(vehicle));
    this.material = new THREE.MeshLambertMaterial({ map: seams() });
    this.scale = new THREE.Group();
    this.sun = new THREE.DirectionalLight(0xfff6e6, 2.0);
    this.scene.add(this.scale, this.sun, this.sun.target);
    this.changed = true;  // the shadows have to be drawn again
  }

  /** Draw the voxels of `grid` whose labels are `shown`; returns how many cubes that takes. */
  show(grid, shown) {
    if (grid.form !== this.form) this.#fit(grid);
    this.form = grid.form;
    this.grid = grid;
    this.shown = shown;
    const indices = exposed(grid.labels, grid.shape, shown);
    this.#reserve(indices.length, grid.voxelSize);
    const matrix = new THREE.Matrix4(), color = new THREE.Color();
    indices.forEach((index, cube) => {
      this.cubes.setMatrixAt(cube, matrix.setPosition(...centre(grid, index)));
      color.copy(this.colors[grid.labels[index]]);
      this.cubes.setColorAt(cube, color.multiplyScalar(openness(grid.labels, grid.shape, shown, index)));
    });
    this.cubes.count = indices.length;
    this.cubes.instanceMatrix.needsUpdate = true;
    if (this.cubes.instanceColor) this.cubes.instanceColor.needsUpdate = true;  // null until a cube has been drawn
    this.changed = true;
    return this.cubes.count;
  }

  /** Label and centre of the first voxel on a THREE.Ray, or null. */
  pick({ origin, direction }) {
    const { labels, shape, voxelSize } = this.grid;
    const from = origin.toArray().map((value, axis) => (value - this.grid.origin[axis]) / voxelSize[axis]);
    const along = direction.toArray().map((value, axis) => value / voxelSize[axis]);
    const index = firstHit(labels, shape, this.shown, from, along);
    return index < 0 ? null : { label: labels[index], position: centre(this.grid, index) };
  }

  /** Room for `count` cubes. */
  #reserve(count, size) {
    if (this.cubes && this.cubes.instanceMatrix.count >= count) return;
    if (this.cubes) {
      this.scene.remove(this.cubes);
      this.cubes.geometry.dispose();
      this.cubes.dispose();
    }
    this.cubes = new THREE.InstancedMesh(new THREE.BoxGeometry(...size), this.material, Math.ceil(1.3 * count) + 1);
    this.cubes.castShadow = this.cubes.receiveShadow = true;
    this.cubes.boundingSphere = this.extent;
    this.scene.add(this.cubes);
  }

  /** Sun, lines and numbers for a grid of another place or size. */
  #fit({ shape, origin, voxelSize }) {
    const lower = new THREE.Vector3(...origin);
    const upper = new THREE.Vector3(...origin.map((value, axis) => value + shape[axis] * voxelSize[axis]));
    this.extent = new THREE.Box3(lower, upper).getBoundingSphere(new THREE.Sphere());
    const { center, radius } = this.extent;
    this.sun.target.position.copy(center);
    this.sun.position.copy(center).addScaledVector(SUN, 2 * radius);
    this.sun.castShadow = true;
    this.sun.shadow.mapSize.set(2048, 2048);
    this.sun.shadow.normalBias = 0.1 * voxelSize[0];
    this.sun.shadow.intensity = 0.75;
    const sides = { left: -radius, right: radius, top: radius, bottom: -radius };
    Object.assign(this.sun.shadow.camera, sides, { near: 0.1, far: 4 * radius });
    const reach = Math.max(...upper.clone().sub(lower).toArray()), every = round(reach / LINES);
    this.scale.clear();
    this.scale.add(lines(lower, upper, every), ...numbers(lower, upper, 2 * every, reach / 80));
  }
}

function centre({ shape: [nx, ny], origin, voxelSize }, index) {
  const place = [index % nx, Math.floor(index / nx) % ny, Math.floor(index / (nx * ny))];
  return place.map((value, axis) => origin[axis] + (value + 0.5) * voxelSize[axis]);
}

/** A face that is a little darker along its edges, so that each voxel can be told from the next. */
function seams() {
  const size = 64, width = 3;
  const canvas = Object.assign(document.createElement('canvas'), { width: size, height: size });
  const context = canvas.getContext('2d');
  context.fillStyle = '#d8d8d8';
  context.fillRect(0, 0, size, size);
  context.fillStyle = '#ffffff';
  context.fillRect(width, width, size - 2 * width, size - 2 * width);
  const texture = new THREE.CanvasTexture(canvas);
  texture.anisotropy = 8;
  return texture;
}

function vehicleOf(boxes) {
  const group = new THREE.Group();
  for (const [lower, upper] of boxes) {
    const size = upper.map((value, axis) => value - lower[axis]);
    const box = new THREE.Mesh(new THREE.BoxGeometry(...size), new THREE.MeshLambertMaterial({ color: VEHICLE }));
    box.position.set(...lower.map((value, axis) => value + size[axis] / 2));
    box.castShadow = box.receiveShadow = true;
    group.add(box);
  }
  return group;
}

/** `least` or more, and 1, 2 or 5 times a power of ten. */
function round(least) {
  const unit = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((factor) => factor * unit).find((size) => size >= least);
}

/** Lines on the floor of the grid, `every` so many metres; an arrow along x (red) and y (green) from the vehicle. */
function lines(lower, upper, every) {
  const points = [];
  for (const x of steps(lower.x, upper.x, every)) points.push(x, lower.y, lower.z, x, upper.y, lower.z);
  for (const y of steps(lower.y, upper.y, every)) points.push(lower.x, y, lower.z, upper.x, y, lower.z);
  const geometry = new THREE.BufferGeometry();
  geometry.setAttribute('position', new THREE.Float32BufferAttribute(points, 3));
  const group = new THREE.Group();
  group.add(new THREE.LineSegments(geometry, new THREE.LineBasicMaterial({ color: LINE })));
  const start = new THREE.Vector3(0, 0, 1.7);
  group.add(new THREE.ArrowHelper(new THREE.Vector3(1, 0, 0), start, 6, 0xd03030, 1.2, 0.7));
  group.add(new THREE.ArrowHelper(new THREE.Vector3(0, 1, 0), start, 3.5, 0x2f9e44, 1.2, 0.7));
  return group;
}

/** Metres along the rear and the right edge of the floor; letters are `size` times those of a grid of 80 m. */
function numbers(lower, upper, every, size) {
  const edge = { x: lower.x - 2 * size, y: lower.y - 2 * size }, end = 4 * size;
  const places = [
    ...steps(lower.x, upper.x, every).map((x) => [short(x), x, edge.y]),
    ...steps(lower.y, upper.y, every).map((y) => [short(y), edge.x, y]),
    ['x [m]', upper.x + end, edge.y], ['y [m]', edge.x, upper.y + end],
  ];
  return places.map(([words, x, y]) => label(words, size, x, y, lower.z));
}

function steps(from, to, every) {
  const first = Math.ceil(from / every - 1e-6);
  const last = Math.floor(to / every + 1e-6);
  return Array.from({ length: last - first + 1 }, (_, index) => (first + index) * every);
}

const short = (value) => `${Number(value.toPrecision(6))}`;

function label(words, size, x, y, z) {
  const canvas = Object.assign(document.createElement('canvas'), { width: 256, height: 96 });
  const context = canvas.getContext('2d');
  const style = { font: '64px system-ui, sans-serif', fillStyle: INK, textAlign: 'center', textBaseline: 'middle' };
  Object.assign(context, style);
  context.fillText(words, 128, 48);
  const texture = new THREE.CanvasTexture(canvas);
  texture.colorSpace = THREE.SRGBColorSpace;
  const sprite = new THREE.Sprite(new THREE.SpriteMaterial({ map: texture }));
  sprite.position.set(x, y, z);
  sprite.scale.set(4.8 * size, 1.8 * size, 1);
  return sprite;
}
