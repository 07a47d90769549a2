/**
 * Bundles of CTC models in the browser:
 *
 *     const recognizer = await Recognizer.load("bundle/");
 *     const { text, words } = await recognizer.transcribe(await samplesOf(file, recognizer.rate));
 *
 * It computes what edgespeech_runtime does greedily, long recordings in windows (docs/long_audio.md), but looks for no
 * silence. onnxruntime-web lies in `ort` beside it.
 */

// As in edgespeech_runtime/long/windows.py.
const WHOLE = 40, WINDOW = 30, SHORT_WHOLE = 16, SHORT_WINDOW = 12, MOST_CONTEXT = 0.125, USUAL_CONTEXT = 0.75;
const SEARCH = 0.1, CERTAIN = 0.95, SEAM = 0.4, PAUSE = 0.8;
const { ceil, cos, exp, floor, max, min, round, sin, sqrt, trunc, PI } = Math;

/** A loaded bundle: its `manifest`, the `rate` of its samples in Hz, the `device` that runs it. */
export class Recognizer {
  /** Load the bundle in the folder `url`. `device` is "auto", "wasm" or "webgpu". */
  static async load(url, { device = "auto", ort = new URL("ort/", import.meta.url).href } = {}) {
    const got = async (file) => {
      const response = await fetch(`${url.replace(/\/$/, "")}/${file}`);
      if (!response.ok) throw Error(`${response.url}: ${response.status}`);
      return response;
    };
    const manifest = await (await got("edgespeech.json")).json();
    const { task, engine, graphs, precision } = manifest;
    if (task !== "ctc" || engine !== "onnx" || !graphs.single) throw Error(`expected ctc, onnx, not --static: ${url}`);
    if (device === "auto") device = precision !== "int8" && (await navigator.gpu?.requestAdapter()) ? "webgpu" : "wasm";
    const { env, InferenceSession, Tensor } = await import(`${ort}ort.${device}.min.mjs`);
    env.wasm.wasmPaths = ort;
    env.wasm.proxy = device === "wasm"; // in a thread of its own
    env.wasm.numThreads = globalThis.crossOriginIsolated ? min(4, navigator.hardwareConcurrency) : 1;
    const bytes = async (file) => new Uint8Array(await (await got(file)).arrayBuffer());
    const path = graphs.single.weights, data = path && (await bytes(path));
    const open = async ({ file }) =>
      InferenceSession.create(await bytes(file), {
        executionProviders: [device],
        externalData: data && [{ path, data }],
      });
    const single = await open(graphs.single);
    return new Recognizer({ manifest, device, Tensor, single, window: graphs.window && (await open(graphs.window)) });
  }

  constructor(parts) {
    Object.assign(this, parts);
    const { audio, vocabulary, context, frames: { kernels, strides, paddings } } = this.manifest;
    this.vocabulary = vocabulary;
    this.rate = audio.sampling_rate;
    this.frame = audio.hop / this.rate; // seconds
    this.first = kernels.reduceRight((n, k, i) => max(1, (n - 1) * strides[i] + k - 2 * paddings[i]), 1);
    this.delimiter = vocabulary.tokens.indexOf(vocabulary.word_delimiter); // -1: none
    this.silent = new Set([vocabulary.blank, ...vocabulary.special, this.delimiter]);
    this.size = trunc(WINDOW / this.frame); // frames of a window, and of its sides, which serve the others
    this.margin = context?.reach ?? 64;
    this.whole = WHOLE;
    if (this.margin > MOST_CONTEXT * this.size) {
      this.whole = SHORT_WHOLE;
      this.size = trunc(SHORT_WINDOW / this.frame);
      this.margin = min(round(USUAL_CONTEXT / this.frame), trunc(MOST_CONTEXT * this.size));
    }
  }

  /** Samples, Float32Array -> { text, words: [{ text, start, end }], duration } in seconds. */
  async transcribe(samples, onProgress = () => {}) {
    const { shortest, normalize } = this.manifest.audio, duration = samples.length / this.rate;
    if (samples.length < shortest) throw Error(`expected at least ${shortest} samples, got ${samples.length}`);
    const isLong = duration > this.whole, values = normalize ? normalized(samples) : samples, ids = [];
    for await (const row of isLong ? this.#windows(values) : rows(await this.#run(values))) {
      if (ids.push(highest(row)) % 50 === 0) onProgress(ids.length * this.frame, duration);
    }
    return { ...this.#read(ids, duration, isLong), duration };
  }

  async #run(values, patches = {}) {
    const feeds = { input_values: [values, 1, values.length], ...patches };
    for (const name in feeds) feeds[name] = new this.Tensor("float32", feeds[name][0].slice(), feeds[name].slice(1));
    const { logits } = await (patches.patch_mean ? this.window : this.single).run(feeds);
    return { data: await logits.getData(), size: logits.dims[2], first: 0, end: logits.dims[1] };
  }

  /** Logits of a long recording's frames, by windows that overlap. */
  async *#windows(values) {
    const { frames, audio: { hop } } = this.manifest, patches = this.window && patchStatistics(values, frames);
    const length = (n) => this.first + (n - 1) * hop, total = floor((values.length - this.first) / hop) + 1;
    for (let done = 0; done < total; ) {
      const first = max(0, done - this.margin), left = total - first;
      const isNear = values.length < length(first + 2 * this.size), isLast = isNear && left <= this.size;
      let size = isLast ? left : this.size;
      if (!isLast && isNear && left <= 2 * (size - this.margin)) size = trunc(left / 2) + this.margin;
      const logits = await this.#run(values.subarray(first * hop, first * hop + length(size)), patches);
      logits.first = done - first;
      if (!isLast) logits.end = this.#seam(logits);
      done = first + logits.end;
      yield* rows(logits);
    }
  }

  /** Where windows meet: in the longest run of blanks near the end of the first one, the last of equals. */
  #seam({ first, end: frames, ...logits }) {
    const usual = frames - this.margin, low = max(first + 1, usual - trunc(SEARCH * this.size));
    const near = [...rows({ ...logits, first: low, end: frames - trunc(this.margin / 2) })];
    const quiet = near.map((row) => {
      const most = row[highest(row)], sum = (of) => row.reduce((all, x, id) => all + of(id) * exp(x - most), 0);
      return sum((id) => this.silent.has(id)) / sum(() => 1);
    });
    let begin = -1, end = -1, longest = 0;
    for (let at = 0; at <= usual - low; at++) {
      if (!(quiet[at] >= CERTAIN) || quiet[at - 1] >= CERTAIN) continue;
      let stop = at;
      while (quiet[stop] >= CERTAIN) stop++;
      const length = min(stop - at, round(SEAM / this.frame));
      if (length >= longest) [begin, end, longest] = [at, stop, length];
    }
    if (begin < 0) return low + highest(quiet.slice(0, usual - low + 1));
    for (let at = begin; at < end; at++) {
      if (highest(near[at]) !== this.vocabulary.blank) begin = min(at + 1, end - 1); // delimiter
    }
    return low + trunc((begin + end) / 2);
  }

  /** Tokens of frames to text and words: special tokens go, then repeats merge, then blanks go. */
  #read(ids, duration, isLong) {
    const { blank, special } = this.vocabulary, spans = [], groups = [[]];
    let before = blank, pause = 0;
    ids.forEach((id, at) => {
      pause = id === blank ? pause + 1 : 0; // a long one ends the word
      if (isLong && this.delimiter >= 0 && pause === round(PAUSE / this.frame)) id = this.delimiter;
      if (id !== blank) {
        if (special.includes(id)) return;
        if (id !== before) spans.push({ id, start: at });
        spans.at(-1).end = at + 1;
      }
      before = id;
    });
    for (const span of spans) {
      if (span.id === this.delimiter || this.delimiter < 0) groups.push([]);
      if (span.id !== this.delimiter) groups.at(-1).push(span);
    }
    const second = (at) => min(at * this.frame, duration), words = [];
    for (const group of groups) {
      const text = this.#spell(group);
      if (text) words.push({ text, start: second(group[0].start), end: second(group.at(-1).end) });
    }
    return { text: isLong ? this.join(words) : this.#spell(spans), words };
  }

  #spell(spans) {
    const { tokens, separator, replace_word_delimiter: space, lower_case } = this.vocabulary;
    const text = spans.map(({ id }) => (id === this.delimiter ? space : tokens[id])).filter(Boolean).join(separator);
    return this.#cleaned(lower_case ? text.trim().toLowerCase() : text.trim());
  }

  #cleaned(text) {
    if (!this.vocabulary.clean_up) return text;
    return text.replace(/ ([.?!,])/g, "$1").replaceAll(" ' ", "'").replace(/ (n't|'m|'s|'ve|'re)/g, "$1");
  }

  /** The text of words. */
  join(words) {
    const { separator, replace_word_delimiter: space } = this.vocabulary;
    const between = this.delimiter >= 0 && space ? separator + space + separator : separator;
    return this.#cleaned(words.map((word) => word.text).join(between));
  }
}

/**
 * Captions of one source: `add` takes blocks, `finish` ends it. `onText` gets { text, words, isFinal, committed }: so
 * many words stay, which ended `latency` seconds ago. So much `silence` ends a text, or when it is the `longest`.
 */
export class Captions {
  constructor(recognizer, onText, options) {
    Object.assign(this, { recognizer, onText, latency: 2, silence: 1.2, longest: 20, step: 0.4, ...options });
    this.samples = new Float32Array(0);
    this.start = this.seen = this.begin = 0; // seconds: of the samples, of what was run, of the text at hand
    this.committed = []; // words
  }

  add(block) {
    this.samples = joined(this.samples, block);
    const end = this.start + this.samples.length / this.recognizer.rate;
    if (end >= this.seen + this.step) this.working ??= this.#work().finally(() => (this.working = null));
    return this.working;
  }

  async finish() {
    await this.working;
    return this.#work(true);
  }

  async #work(isEnd = false) {
    const { recognizer, start, samples, committed } = this, before = committed.at(-1)?.end ?? this.begin;
    const end = (this.seen = start + samples.length / recognizer.rate);
    if (samples.length < recognizer.manifest.audio.shortest) return;
    const { words } = await recognizer.transcribe(samples);
    const open = words.map((word) => ({ ...word, start: word.start + start, end: word.end + start }));
    while (open.length && (open[0].start + open[0].end) / 2 <= before) open.shift();
    const isFinal = isEnd || end - (open.at(-1)?.end ?? before) >= this.silence;
    while (open.length && (isFinal || open[0].end < end - this.latency)) committed.push(open.shift());
    const isLong = !isFinal && committed.length > 0 && end - this.begin >= this.longest;
    const all = isLong ? committed : [...committed, ...open];
    const event = { text: recognizer.join(all), words: all, isFinal: isFinal || isLong, committed: committed.length };
    if (all.length) this.onText(event);
    const border = isFinal ? end - 0.5 : (committed.at(-1)?.end ?? before);
    if (event.isFinal) [this.begin, this.committed] = [border, []];
    const kept = isFinal ? border : border - 8; // sound before words helps with them
    const count = max(0, floor((kept - start) * recognizer.rate));
    this.samples = this.samples.slice(count);
    this.start += count / recognizer.rate;
  }
}

/** Give blocks of a microphone to `onBlock`; returns a function that closes it. */
export async function microphone(rate, onBlock, audio = true) {
  const stream = await navigator.mediaDevices.getUserMedia({ audio });
  const context = new AudioContext();
  const code = `registerProcessor("blocks", class extends AudioWorkletProcessor {
    process([channels]) { if (channels[0]) this.port.postMessage(channels[0]); return true; } });`;
  await context.audioWorklet.addModule(`data:text/javascript,${encodeURIComponent(code)}`);
  const node = new AudioWorkletNode(context, "blocks", { numberOfOutputs: 0 });
  const resampler = new Resampler(context.sampleRate, rate);
  node.port.onmessage = ({ data }) => onBlock(resampler.add(data));
  context.createMediaStreamSource(stream).connect(node);
  await context.resume();
  return () => {
    stream.getTracks()[0].stop();
    return context.close();
  };
}

/** Samples of a sound file, at `rate`, channels mixed. */
export async function samplesOf(file, rate) {
  const sound = await new OfflineAudioContext(1, 1, rate).decodeAudioData(await file.arrayBuffer());
  const count = sound.numberOfChannels, mixed = new Float32Array(sound.length);
  for (let n = 0; n < count; n++) sound.getChannelData(n).forEach((x, at) => (mixed[at] += x / count));
  return mixed;
}

/** Blocks of any size from one rate to another, by a windowed sinc. */
export class Resampler {
  constructor(from, to) {
    this.step = from / to;
    this.cutoff = 0.95 * min(1, to / from); // of half the rate that comes in
    this.reach = ceil(24 / this.cutoff); // samples on each side
    this.waiting = new Float32Array(this.reach);
    this.next = this.reach; // where among them the next output lies
  }

  add(block) {
    if (this.step === 1) return block;
    const samples = joined(this.waiting, block), output = [];
    for (; this.next + this.reach < samples.length; this.next += this.step) {
      let sum = 0;
      for (let at = ceil(this.next - this.reach); at < this.next + this.reach; at++) {
        const x = PI * (at - this.next), y = this.cutoff * x;
        sum += samples[at] * cos(x / 2 / this.reach) ** 2 * (y ? sin(y) / y : 1);
      }
      output.push(sum * this.cutoff);
    }
    const done = floor(this.next - this.reach);
    this.waiting = samples.slice(done);
    this.next -= done;
    return Float32Array.from(output);
  }
}

function normalized(samples) {
  const mean = samples.reduce((sum, x) => sum + x, 0) / samples.length;
  const scale = sqrt(samples.reduce((sum, x) => sum + (x - mean) ** 2, 0) / samples.length + 1e-7);
  return samples.map((x) => (x - mean) / scale);
}

/** Mean of the patches that the first layer sees, and rows r of which their covariance is the sum of r r^T. */
function patchStatistics(x, { kernels: [taps], strides: [stride] }) {
  const mean = new Float64Array(taps), square = new Float64Array(taps * taps), spread = square.slice();
  const count = floor((x.length - taps) / stride) + 1;
  for (let n = 0; n < count; n++) {
    for (let i = 0; i < taps; i++) {
      const y = x[n * stride + i] / count;
      mean[i] += y;
      for (let j = 0; j <= i; j++) square[i * taps + j] += y * x[n * stride + j];
    }
  }
  for (let j = 0; j < taps; j++) {
    for (let i = j; i < taps; i++) {
      let rest = square[i * taps + j] - mean[i] * mean[j]; // the rows are the columns of a Cholesky factor
      for (let k = 0; k < j; k++) rest -= spread[k * taps + i] * spread[k * taps + j];
      spread[j * taps + i] = i === j ? sqrt(max(rest, 0)) : rest / (spread[j * taps + j] || Infinity);
    }
  }
  return { patch_mean: [Float32Array.from(mean), taps], patch_spread: [Float32Array.from(spread), taps, taps] };
}

const highest = (values) => values.indexOf(max(...values));

function* rows({ data, size, first, end }) {
  for (let at = first; at < end; at++) yield data.subarray(at * size, (at + 1) * size);
}

function joined(a, b) {
  const all = new Float32Array(a.length + b.length);
  all.set(a);
  all.set(b, a.length);
  return all;
}
