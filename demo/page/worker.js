// Runs detectors away from the page, so that it answers while they run. A classic worker: LiteRT's
// loader of WebAssembly calls importScripts.

const files = new Map(); // address -> promise of its bytes
const detectors = new Map(); // address -> promise of { run, width, height, labels }
let runtime;

self.onmessage = async ({ data }) => {
  try {
    self.postMessage({ id: data.id, result: await answer(data) });
  } catch (error) {
    self.postMessage({ id: data.id, error: error?.message ?? String(error) });
  }
};

function answer({ task, ...given }) {
  if (task === "start") return start();
  if (task === "fetch") return Promise.all(given.files.map(bytesOf)).then(() => given.files.length);
  return detect(given);
}

/** Load LiteRT; gives the addresses that it was loaded from. */
async function start() {
  runtime ??= (async () => {
    const litert = await import("./vendor/litert.js");
    const folder = new URL("vendor/wasm/", self.location).href;
    const loaded = [];
    self.Module = {
      locateFile: (name) => {
        loaded.push(folder + name, folder + name.replace(/wasm$/, "js"));
        return folder + name;
      },
      mainScriptUrlOrBlob: `${folder}litert_wasm_threaded_internal.js`, // what threads load
      print: () => {}, // what LiteRT says of itself
      printErr: () => {},
    };
    // Everything runs in WebAssembly: a graphics processor is neither asked for nor missed.
    Object.defineProperty(self.navigator, "gpu", {
      configurable: true,
      value: { requestAdapter: async () => null },
    });
    const warn = console.warn;
    console.warn = () => {};
    // Threads share memory, which browsers grant to pages with two headers only; see docs/demo.md.
    const threads =
      self.crossOriginIsolated &&
      (await litert.supportsFeature("threads")) &&
      (await litert.supportsFeature("relaxedSimd"));
    try {
      await litert.loadLiteRt(folder, { threads });
    } finally {
      console.warn = warn;
    }
    const numThreads = threads ? Math.min(4, self.navigator.hardwareConcurrency || 1) : 1;
    return { litert, loaded, numThreads };
  })();
  const { loaded, numThreads } = await runtime;
  return { loaded, numThreads };
}

function bytesOf(file) {
  if (!files.has(file)) {
    const bytes = fetch(file).then(async (response) => {
      if (!response.ok) throw new Error(`${file}: ${response.status} ${response.statusText}`);
      return new Uint8Array(await response.arrayBuffer());
    });
    bytes.catch(() => files.delete(file)); // asked for again next time
    files.set(file, bytes);
  }
  return files.get(file);
}

function detectorOf({ file, class_names: labels }) {
  if (!detectors.has(file)) {
    const detector = compile(file, labels);
    detector.catch(() => detectors.delete(file));
    detectors.set(file, detector);
  }
  return detectors.get(file);
}

async function compile(file, labels) {
  await start();
  const { litert, numThreads } = await runtime;
  const options = { accelerator: "wasm", cpuOptions: { numThreads } };
  const model = await litert.loadAndCompile(await bytesOf(file), options);
  const input = model.getInputDetails()[0];
  const shape = Array.from(input.shape);
  const outputs = model.getOutputDetails().map(({ name }) => name);
  const run = async (image) => {
    const values = input.dtype === "uint8" ? image : Float32Array.from(image);
    const began = performance.now();
    const tensor = new litert.Tensor(values, shape);
    const tensors = await model.run([tensor]);
    const found = Object.fromEntries(
      tensors.map((output, i) => [outputs[i], Array.from(output.toTypedArray())]),
    );
    const milliseconds = performance.now() - began;
    for (const one of [tensor, ...tensors]) one.delete();
    return { found, milliseconds };
  };
  const detector = { run, labels, height: shape[1], width: shape[2] };
  await run(new Uint8Array(shape[1] * shape[2] * 3)); // the first run packs weights
  return detector;
}

/** Detect with each model in one picture; gives boxes in its pixels, best first. */
async function detect({ models, rgba, width, height, rounds }) {
  const { fitScale, letterbox, toPicture } = await import("./letterbox.js");
  const pixels = new Uint8ClampedArray(rgba);
  const images = new Map();
  const results = [];
  for (const model of models) {
    const detector = await detectorOf(model);
    const size = `${detector.width}x${detector.height}`;
    if (!images.has(size)) {
      images.set(size, letterbox(pixels, width, height, detector.width, detector.height));
    }
    const times = [];
    let found;
    for (let round = 0; round < rounds; round++) {
      const one = await detector.run(images.get(size));
      found = one.found;
      times.push(one.milliseconds);
    }
    // The graph ends in detections: ymin, xmin, ymax, xmax as fractions of the image.
    const boxes = Array.from({ length: found.count[0] }, (_, i) => {
      const [y1, x1, y2, x2] = found.boxes.slice(4 * i, 4 * i + 4);
      const { width: w, height: h } = detector;
      return [x1 * w, y1 * h, x2 * w, y2 * h];
    });
    const scale = fitScale(width, height, detector.width, detector.height);
    const detections = toPicture(boxes, scale, width, height).flatMap((box, i) =>
      box ? [{ box, score: found.scores[i], label: detector.labels[found.classes[i]] }] : [],
    );
    times.sort((a, b) => a - b);
    results.push({ detections, milliseconds: times[times.length >> 1] });
  }
  return results;
}
