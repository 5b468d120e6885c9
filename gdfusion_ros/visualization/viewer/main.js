// The page: which frame, which classes, which of prediction and ground truth. The address keeps it, for instance
// #frame=3&hide=car,bus&view=both. The root element says what was drawn: data-state, -frame, -frames, -view, -cubes,
// -truth-cubes. A live page begins with one frame and gets more as they come: there, playing is showing the newest.

import { receive } from 'viewer/live.js';
import { parse, unpack } from 'viewer/payload.js';
import { GridScene } from 'viewer/scene.js';
import { Stage, VIEWPOINTS } from 'viewer/stage.js';
import { count } from 'viewer/voxels.js';

const VIEW_NAMES = { prediction: 'Prediction', truth: 'Ground truth', both: 'Side by side' };
const SHORTEST = 40, LONGEST = 2000;  // time that a frame stays while playing [ms]
const SETTLED = 200;  // time without a change after which the address is written: browsers limit how often [ms]
const KEPT = 120;  // frames of a live page that can be gone back to

const $ = (id) => document.getElementById(id);
const about = parse($('about'));
const live = about.drive > 0;
const frames = [...document.querySelectorAll('script.frame')];
const colors = new Array(256).fill('#808080');
for (const { id, color } of about.classes) colors[id] = color;

const state = { frame: 0, hidden: new Set(), view: about.truth ? 'both' : 'prediction', playing: live };
let oldest = 0;  // the first frame that is still there
let catchingUp = false;  // on the way to the newest frame
let current = null;  // the frame that is shown, with unpacked grids
let stage = null;
let scenes = null;
let settled = null;

/** A frame of the page with its grids unpacked. */
async function load(number) {
  const frame = parse(frames[number]);
  for (const grid of [frame.prediction, frame.truth].filter(Boolean)) {
    grid.labels = await unpack(grid.labels);
    grid.counts = count(grid.labels);
    grid.form = JSON.stringify([grid.shape, grid.origin, grid.voxelSize]);
  }
  return { ...frame, number };
}

/** Show what `state` says. */
async function update() {
  const wanted = state.frame;
  if (current?.number !== wanted) {
    const loaded = await load(wanted);
    if (wanted !== state.frame) return;  // the slider has moved on
    current = loaded;
    showDetails();
  }
  const nothing = new Set([about.free, about.unknown, ...state.hidden]);
  const shown = Array.from({ length: 256 }, (_, label) => !nothing.has(label));
  const wants = { prediction: ['prediction'], truth: ['truth'], both: ['prediction', 'truth'] }[state.view];
  const cubes = {};
  for (const name of wants) cubes[name] = current[name] ? scenes[name].show(current[name], shown) : 0;
  stage.draw(wants.map((name) => current[name] && scenes[name]));
  showClasses(wants);
  showTags(wants);
  report(cubes);
}

/** Say what is drawn, for the address and for whoever drives the page. */
function report(cubes) {
  const hide = about.classes.filter(({ id }) => state.hidden.has(id)).map(({ name }) => name).join(',');
  const parts = [!live && `frame=${state.frame}`, hide && `hide=${hide}`, about.truth && `view=${state.view}`];
  clearTimeout(settled);
  settled = setTimeout(() => history.replaceState(null, '', `#${parts.filter(Boolean).join('&')}`), SETTLED);
  Object.assign(document.documentElement.dataset, {
    state: 'ready', frame: state.frame, frames: frames.length, view: state.view, hidden: hide,
    cubes: cubes.prediction ?? 0, truthCubes: cubes.truth ?? 0,
  });
}

function readAddress() {
  const address = new URLSearchParams(location.hash.slice(1));
  const names = new Set((address.get('hide') ?? '').split(','));
  state.hidden = new Set(about.classes.filter(({ name }) => names.has(name)).map(({ id }) => id));
  const number = Number.parseInt(address.get('frame') ?? state.frame, 10);
  state.frame = Number.isNaN(number) ? 0 : Math.min(Math.max(number, oldest), frames.length - 1);
  if (about.truth && address.get('view') in VIEW_NAMES) state.view = address.get('view');
}

function showDetails() {
  $('model').textContent = about.model;
  $('untrained').hidden = !about.untrained;
  $('moment').textContent = current.moment;
  $('stamp').textContent = current.stamp;
  showPosition();
  for (const image of document.querySelectorAll('#images img')) {
    const data = current.images[image.alt];
    image.hidden = !data;
    if (data) image.src = `data:image/jpeg;base64,${data}`;
  }
}

function showPosition() {
  Object.assign($('slider'), { min: oldest, max: frames.length - 1, value: state.frame });
  $('position').textContent = `${state.frame + 1} / ${frames.length}`;
  document.querySelector('footer').hidden = !live && frames.length < 2;
}

/** Counts beside the classes: of what is shown, the prediction first. */
function showClasses(wants) {
  const grids = wants.map((name) => current[name]).filter(Boolean);
  const numbers = (count) => grids.map((grid) => count(grid).toLocaleString('en')).join(' | ');
  for (const item of document.querySelectorAll('#classes li')) {
    const label = Number(item.dataset.label);
    item.querySelector('input').checked = !state.hidden.has(label);
    item.querySelector('output').textContent = numbers((grid) => grid.counts[label]);
    item.classList.toggle('absent', grids.every((grid) => !grid.counts[label]));
  }
  $('cubes').textContent = numbers(({ labels, counts }) => labels.length - counts[about.free] - counts[about.unknown]);
  for (const button of $('views').children) button.setAttribute('aria-checked', button.value === state.view);
}

/** Names on the pictures, where there could be doubt. */
function showTags(wants) {
  const names = wants.map((name) => VIEW_NAMES[name] + (current[name] ? '' : ': none at this stamp'));
  $('left-tag').textContent = about.truth ? names[0] : '';
  $('right-tag').textContent = names[1] ?? '';
  $('stage').classList.toggle('split', wants.length > 1);
}

/** Show a frame; on from the last one is the first. */
function go(number) {
  const kept = frames.length - oldest;
  state.frame = oldest + (number - oldest + kept) % kept;
  return update();
}

/** Show the frame that somebody chose; on a live page the newest is followed on from there. */
function choose(number) {
  const chosen = go(number);
  if (live) play(state.frame === frames.length - 1);
  return chosen;
}

/** Play on from here in the time of the stamps, round and round; a live page: in the time in which frames come. */
async function play(playing) {
  state.playing = playing;
  $('play').classList.toggle('playing', playing);
  if (live) {
    if (playing) await catchUp();
    return;
  }
  while (state.playing) {
    const before = current.time, begin = performance.now();
    await go(state.frame + 1);
    const between = 1000 * (current.time - before) / Number($('speed').value);
    const stay = Math.min(Math.max(between, SHORTEST), LONGEST);
    await new Promise((done) => setTimeout(done, begin + stay - performance.now()));
  }
}

/** Take a new frame of a live page. */
function arrive(text) {
  if (text === frames.at(-1).textContent) return;  // the one that the page came with
  frames.push({ textContent: text });
  if (frames.length - oldest > KEPT) frames[oldest++] = null;
  if (state.playing) catchUp();
  else if (state.frame < oldest) go(oldest);
  else showPosition();
}

/** Show the newest frame, as often as it takes: those that come meanwhile are passed over, none is given up half-way. */
async function catchUp() {
  if (catchingUp) return;
  catchingUp = true;
  while (state.playing && state.frame !== frames.length - 1) await go(frames.length - 1);
  catchingUp = false;
}

function build() {
  document.title = `${about.model}${about.untrained ? ' (untrained)' : ''} - semantic occupancy`;
  $('live').hidden = !live;
  $('speed').hidden = live;
  $('play').classList.toggle('playing', state.playing);
  for (const { id, name, color } of about.classes) {
    const item = document.createElement('li');
    item.dataset.label = id;
    item.innerHTML = '<label><input type="checkbox"><i></i><span></span><output></output></label>';
    item.querySelector('i').style.background = color;
    item.querySelector('span').textContent = name;
    item.querySelector('input').onchange = (event) => { toggle([id], event.target.checked); };
    $('classes').append(item);
  }
  for (const camera of about.cameras) {
    const figure = document.createElement('figure');
    figure.append(Object.assign(new Image(), { alt: camera, hidden: true }), document.createElement('figcaption'));
    figure.lastChild.textContent = camera;
    $('images').append(figure);
  }
  $('images').style.setProperty('--cameras', about.cameras.length);
  for (const [value, name] of Object.entries(about.truth ? VIEW_NAMES : {})) {
    const choice = button(name, () => { state.view = value; update(); });
    choice.value = value;
    choice.setAttribute('role', 'radio');
    $('views').append(choice);
  }
  for (const name of Object.keys(VIEWPOINTS)) {
    $('viewpoints').append(button(name, () => stage.look(name, current.prediction)));
  }
}

function button(name, action) {
  return Object.assign(document.createElement('button'), { textContent: name, onclick: action });
}

function toggle(labels, shown) {
  for (const label of labels) state.hidden[shown ? 'delete' : 'add'](label);
  update();
}

function listen() {
  const labels = about.classes.map(({ id }) => id);
  $('all').onclick = () => toggle(labels, true);
  $('none').onclick = () => toggle(labels, false);
  $('play').onclick = () => play(!state.playing);
  $('slider').oninput = () => choose(Number($('slider').value));
  $('canvas').onpointermove = (event) => {
    pointer = event.buttons ? null : event;
    asked ??= requestAnimationFrame(point);
  };
  $('canvas').onpointerleave = () => {
    pointer = null;
    $('pointed').hidden = true;
  };
  window.onhashchange = () => {
    readAddress();
    update();
  };
  window.onkeydown = (event) => {
    const users = event.key === ' ' ? 'input, select, button' : 'input[type=range], select';
    if (event.target.matches(users) || event.ctrlKey || event.metaKey || event.altKey) return;
    const actions = {
      ' ': () => play(!state.playing), ArrowLeft: () => choose(state.frame - 1), ArrowRight: () => choose(state.frame + 1),
    };
    if (!(event.key in actions)) return;
    event.preventDefault();
    actions[event.key]();
  };
}

let pointer = null;  // the last event of the mouse on the canvas
let asked = null;  // the request to say what is there

/** Say what the mouse points at. */
function point() {
  asked = null;
  const aim = pointer && stage.ray(pointer.clientX, pointer.clientY);
  const hit = aim && aim.scene.pick(aim.ray);
  $('pointed').hidden = !hit;
  if (!hit) return;
  const name = about.classes.find(({ id }) => id === hit.label)?.name ?? hit.label;
  const [x, y, z] = hit.position.map((value) => value.toFixed(1));
  $('pointed').textContent = `${name}  x ${x}  y ${y}  z ${z} m`;
  const frame = $('stage').getBoundingClientRect();
  $('pointed').style.left = `${pointer.clientX - frame.left + 14}px`;
  $('pointed').style.top = `${pointer.clientY - frame.top + 14}px`;
}

function fail(error) {
  document.documentElement.dataset.state = 'failed';
  $('message').hidden = false;
  $('message').textContent = `This page needs a current browser with WebGL 2: ${error.message ?? error}`;
}

window.addEventListener('error', (event) => fail(event.error ?? event.message));
window.addEventListener('unhandledrejection', (event) => fail(event.reason));
build();
readAddress();
stage = new Stage($('canvas'), getComputedStyle(document.body).getPropertyValue('--panel').trim());
scenes = { prediction: new GridScene(colors, about.vehicle), truth: new GridScene(colors, about.vehicle) };
listen();
await update();
stage.look('Behind', current.prediction);
if (live) receive(about.drive, arrive, () => { $('live').textContent = 'connection lost'; });
