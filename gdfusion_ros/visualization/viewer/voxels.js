// Which voxels of a grid need to be drawn, and how dark it is where they stand.

/**
 * Indices of the voxels whose label is shown and that have a face which no other shown voxel covers.
 * The lowest layer counts as covered from below: nobody looks from there.
 *
 * `shown` has one truth value a label; `shape` is [x, y, z].
 */
export function exposed(labels, [nx, ny, nz], shown) {
  const layer = nx * ny;
  const found = [];
  for (let z = 0, index = 0; z < nz; z++) {
    for (let y = 0; y < ny; y++) {
      for (let x = 0; x < nx; x++, index++) {
        if (!shown[labels[index]]) continue;
        const covered = x > 0 && shown[labels[index - 1]] && x < nx - 1 && shown[labels[index + 1]]
          && y > 0 && shown[labels[index - nx]] && y < ny - 1 && shown[labels[index + nx]]
          && z < nz - 1 && shown[labels[index + layer]] && (z === 0 || shown[labels[index - layer]]);
        if (!covered) found.push(index);
      }
    }
  }
  return found;
}

/** Light 0..1 on a voxel: the more of the eight places round the one above it are taken, the darker. */
export function openness(labels, [nx, ny, nz], shown, index) {
  const x = index % nx, y = Math.floor(index / nx) % ny, z = Math.floor(index / (nx * ny));
  if (z === nz - 1) return 1;
  let taken = 0;
  for (let j = Math.max(y - 1, 0); j <= Math.min(y + 1, ny - 1); j++) {
    for (let i = Math.max(x - 1, 0); i <= Math.min(x + 1, nx - 1); i++) {
      taken += shown[labels[i + nx * (j + ny * (z + 1))]] ? 1 : 0;
    }
  }
  return 1 - 0.05 * taken;
}

/**
 * Index of the first voxel that is shown on a ray, or -1. The ray starts at `from` and runs along `along`, both in
 * voxels from the grid's lower corner. It goes from face to face (Amanatides and Woo 1987).
 */
export function firstHit(labels, shape, shown, from, along) {
  let near = 0, far = Infinity;
  for (const axis of [0, 1, 2]) {
    const faces = [-from[axis] / along[axis], (shape[axis] - from[axis]) / along[axis]];
    near = Math.max(near, Math.min(...faces));
    far = Math.min(far, Math.max(...faces));
  }
  if (!(near < far)) return -1;
  const step = along.map(Math.sign);
  const stride = along.map((part) => Math.abs(1 / part));
  const cell = from.map((start, axis) => clamp(Math.floor(start + near * along[axis]), shape[axis] - 1));
  const ahead = (place, axis) => (place + (step[axis] > 0 ? 1 : 0) - from[axis]) / along[axis];
  const next = cell.map((place, axis) => step[axis] ? ahead(place, axis) : Infinity);
  while (cell.every((place, axis) => place >= 0 && place < shape[axis])) {
    const index = cell[0] + shape[0] * (cell[1] + shape[1] * cell[2]);
    if (shown[labels[index]]) return index;
    const axis = next.indexOf(Math.min(...next));
    cell[axis] += step[axis];
    next[axis] += stride[axis];
  }
  return -1;
}

const clamp = (value, highest) => Math.min(Math.max(value, 0), highest);

/** How many voxels have each label: 256 numbers. */
export function count(labels) {
  const counts = new Array(256).fill(0);
  for (const label of labels) counts[label]++;
  return counts;
}
