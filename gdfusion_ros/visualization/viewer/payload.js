// What the page carries: one JSON script about the whole, one for every frame.

/** The JSON in the script element `element`. */
export const parse = (element) => JSON.parse(element.textContent);

/**
 * The labels of a grid, one byte a voxel, x fastest, then y, then z.
 * They travel as base64 of gzip.
 */
export async function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
