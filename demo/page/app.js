// The page: two panes look at one picture. What runs detectors is worker.js.

const STILL_ROUNDS = 3; // the median of their times is shown
const LARGEST_SIDE = 4096; // a larger picture is shrunk to it first: browsers refuse larger canvases
const PAUSE_BETWEEN_REPORTS_MS = 3000; // of the webcam, for who listens

const element = (id) => document.getElementById(id);
const status = element("status");
const whole = new Intl.NumberFormat("en");

const manifest = await (await fetch("models.json")).json();
const models = new Map(manifest.models.map((model) => [model.file, model]));
const picture = document.createElement("canvas"); // what is looked at, in its own pixels
const pixels = picture.getContext("2d", { willReadFrequently: true });
const panes = ["A", "B"].map(makePane);
let threshold = Number(element("threshold").value);
let pictureName = "";
let camera = null; // { video, stream }
let request = 0; // number of the newest picture or choice; older answers are dropped

// ---------------------------------------------------------------- the worker

const worker = new Worker("worker.js");
const waiting = new Map();
let messages = 0;

worker.onmessage = ({ data: { id, result, error } }) => {
  const { resolve, reject } = waiting.get(id);
  waiting.delete(id);
  if (error === undefined) resolve(result);
  else reject(new Error(error));
};
worker.onerror = (event) => {
  for (const { reject } of waiting.values()) reject(new Error(event.message || "no worker"));
  waiting.clear();
};

function ask(task, given = {}, transfer = []) {
  const id = ++messages;
  return new Promise((resolve, reject) => {
    waiting.set(id, { resolve, reject });
    worker.postMessage({ id, task, ...given }, transfer);
  });
}

// ---------------------------------------------------------------- panes

function makePane(letter) {
  const root = element("pane").content.firstElementChild.cloneNode(true);
  const select = root.querySelector("select");
  const label = root.querySelector("label");
  select.id = `detector-${letter}`;
  label.htmlFor = select.id;
  label.textContent = `Detector ${letter}`;
  for (const [file, model] of models) select.add(new Option(titleOf(model), file));
  element("panes").append(root);
  const pane = {
    letter,
    root,
    select,
    canvas: root.querySelector("canvas"),
    rows: root.querySelector("tbody"),
    result: null,
    get model() {
      return models.get(select.value);
    },
    figure(name, text) {
      const place = root.querySelector(`[data-figure="${name}"]`);
      if (place.textContent !== text) place.textContent = text;
    },
  };
  select.addEventListener("change", chosen);
  return pane;
}

function titleOf({ name, kind }) {
  return `${name}, ${kind}`;
}

function choose(files) {
  panes.forEach((pane, i) => (pane.select.value = files[i]));
  chosen();
}

function chosen() {
  request++;
  describe();
  show();
  if (!camera) look();
}

/** Show what is known of the two detectors before they run. */
function describe() {
  for (const pane of panes) {
    const { parameters, bytes, image_size: size, ap, photographs } = pane.model;
    pane.result = null;
    pane.figure("parameters", whole.format(parameters));
    pane.figure("bytes", sizeText(bytes));
    pane.figure("input", `${size[1]} × ${size[0]}`);
    pane.figure("ap", ap === null ? "–" : ap.toFixed(3));
    pane.root.querySelector("abbr").title =
      `average precision on the photographs of ${photographs}, which were kept for testing`;
  }
  for (const [button, files] of comparisons) {
    button.setAttribute("aria-pressed", files.every((file, i) => panes[i].select.value === file));
  }
  element("comparison").textContent = comparisonText(...panes.map((pane) => pane.model));
}

function comparisonText(a, b) {
  const parts = [
    ratioText(a.parameters, b.parameters, "parameters"),
    ratioText(a.bytes, b.bytes, "bytes"),
  ].filter(Boolean);
  return parts.length ? `B against A: ${parts.join(", ")}.` : "";
}

function ratioText(a, b, what) {
  if (a === b) return "";
  const ratio = Math.max(a, b) / Math.min(a, b);
  return `${ratio.toFixed(1)} times ${a > b ? "fewer" : "more"} ${what}`;
}

function sizeText(bytes) {
  return bytes < 1e6 ? `${Math.round(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(2)} MB`;
}

// ---------------------------------------------------------------- detecting

/** Detect in the picture with both detectors, and show it; says whether it was still wanted. */
async function detect(rounds) {
  const mine = request;
  const { width, height } = picture;
  const rgba = pixels.getImageData(0, 0, width, height).data.buffer;
  const wanted = panes.map((pane) => pane.model);
  const given = { models: wanted, rgba, width, height, rounds };
  const results = await ask("detect", given, [rgba]);
  if (mine !== request) return false;
  panes.forEach((pane, i) => (pane.result = results[i]));
  show();
  return true;
}

/** Look at a picture that stands still. */
async function look() {
  const mine = ++request;
  busy(true);
  try {
    if (await detect(STILL_ROUNDS)) {
      busy(false);
      report();
    }
  } catch (error) {
    if (mine === request) failed(error);
  }
}

function found(pane) {
  return pane.result ? pane.result.detections.filter(({ score }) => score >= threshold) : [];
}

function show() {
  for (const pane of panes) {
    const detections = found(pane);
    draw(pane, detections);
    pane.figure("people", pane.result ? String(detections.length) : "–");
    pane.figure("time", pane.result ? `${timeText(pane.result.milliseconds)} ms` : "–");
    const rows = detections.map(({ box, score }) => {
      const row = document.createElement("tr");
      for (const text of [score.toFixed(3), ...box.map((side) => side.toFixed(1))]) {
        row.insertCell().textContent = text;
      }
      return row;
    });
    pane.rows.replaceChildren(...rows);
  }
}

function timeText(milliseconds) {
  return milliseconds < 10 ? milliseconds.toFixed(1) : String(Math.round(milliseconds));
}

function draw({ canvas, model }, detections) {
  const { width, height } = picture;
  const room = canvas.parentElement.clientWidth * (window.devicePixelRatio || 1);
  const zoom = Math.max(1, Math.min(room / width, 4)); // lines and letters stay sharp
  if (canvas.width !== Math.round(width * zoom) || canvas.height !== Math.round(height * zoom)) {
    canvas.width = Math.round(width * zoom);
    canvas.height = Math.round(height * zoom);
  }
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  const unit = Math.max(1, canvas.width / (canvas.parentElement.clientWidth || canvas.width));
  context.font = `600 ${13 * unit}px system-ui, sans-serif`;
  context.textBaseline = "top";
  for (const { box, score } of [...detections].reverse()) {
    const [left, top, right, bottom] = box.map((side) => side * zoom);
    for (const [colour, line] of [["#00251f", 5], ["#3df5d5", 2.5]]) {
      context.strokeStyle = colour;
      context.lineWidth = line * unit;
      context.strokeRect(left, top, right - left, bottom - top);
    }
    const text = score.toFixed(2);
    const wide = context.measureText(text).width + 8 * unit;
    const high = 18 * unit;
    const x = Math.max(0, Math.min(left, canvas.width - wide));
    const y = top >= high ? top - high : Math.min(top, canvas.height - high);
    context.fillStyle = "#3df5d5";
    context.fillRect(x, y, wide, high);
    context.fillStyle = "#00251f";
    context.fillText(text, x + 4 * unit, y + 2.5 * unit);
  }
  const label = `${pictureName}, ${people(detections.length)} marked by ${titleOf(model)}`;
  if (canvas.getAttribute("aria-label") !== label) canvas.setAttribute("aria-label", label);
}

function people(number) {
  return number === 1 ? "1 person" : `${number} people`;
}

// ---------------------------------------------------------------- what is said

function busy(yes) {
  element("panes").setAttribute("aria-busy", yes);
  if (yes && status.classList.contains("failed")) say("Looking at the picture.");
}

function say(text) {
  status.classList.remove("failed");
  if (status.textContent !== text) status.textContent = text;
}

/** Say what both detectors found, with what else there is to say. */
function report(extra = "") {
  const parts = panes.map(
    (pane) =>
      `${titleOf(pane.model)}: ${people(found(pane).length)} in ` +
      `${timeText(pane.result.milliseconds)} ms`,
  );
  say(`${parts.join(". ")}.${extra}`);
}

function failed(error) {
  busy(false);
  status.classList.add("failed");
  status.textContent = error.message;
}

// ---------------------------------------------------------------- pictures

/** Take an ImageBitmap as the picture. */
function take(bitmap, name) {
  picture.width = bitmap.width;
  picture.height = bitmap.height;
  pixels.drawImage(bitmap, 0, 0);
  bitmap.close();
  pictureName = name;
  for (const pane of panes) pane.result = null;
  show();
  return look();
}

/** Decode as Pillow does: turned upright, colours as they are written. */
async function decode(blob) {
  const asWritten = { colorSpaceConversion: "none", premultiplyAlpha: "none" };
  const bitmap = await createImageBitmap(blob, asWritten);
  const longest = Math.max(bitmap.width, bitmap.height);
  if (longest <= LARGEST_SIDE) return bitmap;
  const shrunk = {
    resizeWidth: Math.max(1, Math.round((bitmap.width * LARGEST_SIDE) / longest)),
    resizeHeight: Math.max(1, Math.round((bitmap.height * LARGEST_SIDE) / longest)),
    resizeQuality: "high",
  };
  bitmap.close();
  return createImageBitmap(blob, { ...asWritten, ...shrunk });
}

async function openFile(file) {
  stopCamera();
  const mine = ++request;
  busy(true);
  try {
    const bitmap = await decode(file);
    if (mine !== request) return;
    press(element("file"));
    await take(bitmap, file.name || "your picture");
  } catch {
    failed(new Error(`${file.name || "that"} cannot be opened as a picture here.`));
  }
}

async function openScene(scene, button) {
  stopCamera();
  const mine = ++request;
  busy(true);
  press(button);
  try {
    const response = await fetch(scene.file);
    const bitmap = await decode(await response.blob());
    if (mine === request) await take(bitmap, scene.name);
  } catch (error) {
    failed(error);
  }
}

/** Show which source of pictures is on. */
function press(source) {
  for (const button of [...element("scenes").children, element("webcam")]) {
    button.setAttribute("aria-pressed", button === source);
  }
  const file = element("file");
  file.parentElement.classList.toggle("chosen", file === source);
}

// ---------------------------------------------------------------- the webcam

async function startCamera() {
  const mine = ++request;
  if (!navigator.mediaDevices?.getUserMedia) {
    failed(new Error("this browser gives the webcam to pages by https or from localhost only."));
    return;
  }
  say("Waiting for the webcam.");
  busy(true);
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({
      audio: false,
      video: { facingMode: "environment", width: { ideal: 640 }, height: { ideal: 480 } },
    });
  } catch (error) {
    const reason =
      error.name === "NotAllowedError" ? "it was not allowed" : error.message || error.name;
    if (mine === request) failed(new Error(`the webcam gives no picture: ${reason}.`));
    return;
  }
  if (mine !== request) {
    for (const track of stream.getTracks()) track.stop();
    return;
  }
  const video = document.createElement("video");
  video.muted = true;
  video.playsInline = true;
  video.srcObject = stream;
  camera = { video, stream };
  for (const track of stream.getTracks()) {
    track.addEventListener("ended", () => {
      if (camera?.stream !== stream) return;
      stopCamera();
      failed(new Error("the webcam has stopped."));
    });
  }
  press(element("webcam"));
  pictureName = "webcam";
  try {
    await video.play();
    await watch(camera);
  } catch (error) {
    if (camera?.stream === stream) {
      stopCamera();
      failed(error);
    }
  }
}

/** Detect in frame after frame, as fast as both detectors manage. */
async function watch(mine) {
  let said = 0;
  let frames = 0;
  let since = performance.now();
  while (camera === mine) {
    const { video } = mine;
    if (video.videoWidth) {
      if (picture.width !== video.videoWidth || picture.height !== video.videoHeight) {
        picture.width = video.videoWidth;
        picture.height = video.videoHeight;
      }
      pixels.drawImage(video, 0, 0);
      if (await detect(1)) {
        frames++;
        busy(false);
      }
      const now = performance.now();
      if (camera === mine && panes[0].result && now - said > PAUSE_BETWEEN_REPORTS_MS) {
        const rate = (1000 * frames) / (now - since);
        report(said ? ` ${rate.toFixed(1)} pictures a second.` : "");
        [said, since, frames] = [now, now, 0];
      }
    }
    await new Promise((resolve) => requestAnimationFrame(resolve));
  }
}

function stopCamera() {
  if (!camera) return;
  for (const track of camera.stream.getTracks()) track.stop();
  camera = null;
  element("webcam").setAttribute("aria-pressed", false);
}

// ---------------------------------------------------------------- settings

function button(text, pressed) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = text;
  made.addEventListener("click", () => pressed(made));
  return made;
}

for (const scene of manifest.scenes) {
  element("scenes").append(button(scene.name, (made) => openScene(scene, made)));
}

const comparisons = manifest.comparisons.map(({ name, files }) => {
  const made = button(name, () => choose(files));
  element("comparisons").append(made);
  return [made, files];
});

element("threshold").addEventListener("input", ({ target }) => {
  threshold = Number(target.value);
  element("threshold-value").textContent = threshold.toFixed(2);
  show();
});
element("threshold").addEventListener("change", () => {
  if (panes.every((pane) => pane.result)) report();
});
element("file").addEventListener("change", ({ target }) => {
  const [file] = target.files;
  if (file) openFile(file);
  target.value = ""; // the same file can be chosen again
});
element("webcam").addEventListener("click", () => {
  if (!camera) return startCamera();
  stopCamera();
  say("The webcam is off.");
  return look();
});
window.addEventListener("resize", () => picture.width && show());

let above = 0; // elements that something dragged is over
const dragsFile = (event) => event.dataTransfer?.types.includes("Files");
window.addEventListener("dragenter", (event) => {
  if (dragsFile(event) && ++above) element("drop").hidden = false;
});
window.addEventListener("dragleave", (event) => {
  if (dragsFile(event) && --above <= 0) element("drop").hidden = true;
});
window.addEventListener("dragover", (event) => dragsFile(event) && event.preventDefault());
window.addEventListener("drop", (event) => {
  if (!dragsFile(event)) return;
  event.preventDefault();
  above = 0;
  element("drop").hidden = true;
  if (event.dataTransfer.files[0]) openFile(event.dataTransfer.files[0]);
});
window.addEventListener("paste", (event) => {
  const file = event.clipboardData?.files[0];
  if (file) openFile(file);
});

// ---------------------------------------------------------------- start

/** Detectors named in the address, as ?a=person_nano.int8&b=person_atto.int8, else the first pair. */
function firstChoice() {
  const asked = new URLSearchParams(location.search);
  const files = [...manifest.comparisons[0].files];
  for (const [i, key] of ["a", "b"].entries()) {
    const file = `models/${asked.get(key)}.tflite`;
    if (models.has(file)) files[i] = file;
  }
  return files;
}

/** Keep what the demo needs, so that it goes on without a network, and opens again without one. */
async function keepOffline(loaded) {
  const note = element("offline");
  await ask("fetch", { files: [...models.keys()] });
  note.textContent = "Everything is loaded: it goes on without a network.";
  if (!navigator.serviceWorker || !window.isSecureContext) return;
  await navigator.serviceWorker.register("offline.js");
  await navigator.serviceWorker.ready;
  // Of the builds of LiteRT the one that this browser runs; through the service worker, if it
  // serves this page already.
  const [name] = (await caches.keys()).filter((key) => key.startsWith("keras_hkd demo "));
  const cache = await caches.open(name);
  for (const file of loaded) if (!(await cache.match(file))) await cache.add(file);
  note.textContent = "Everything is kept here: it opens again without a network.";
}

panes.forEach((pane, i) => (pane.select.value = firstChoice()[i]));
describe();
try {
  const started = ask("start");
  const first = openScene(manifest.scenes[0], element("scenes").firstElementChild);
  const { loaded } = await started;
  await first;
  await keepOffline(loaded);
} catch (error) {
  if (!panes.every((pane) => pane.result)) failed(error);
}
