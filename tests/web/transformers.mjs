// node transformers.mjs REQUEST: runs a bundle in transformers.js, as people do who have nothing of edgespeech.
// REQUEST is a JSON file: { task, models, model, options, waveforms: files of float32 }. Prints JSON.
import { readFileSync } from "node:fs";
import { AutoModel, AutoModelForAudioFrameClassification, AutoModelForCTC, AutoModelForXVector, AutoProcessor, env, pipeline } from "@huggingface/transformers";

const { task, models, model: name, options, waveforms } = JSON.parse(readFileSync(process.argv[2], "utf8"));
env.allowRemoteModels = false;
env.localModelPath = models;
const MODELS = { "audio-frame-classification": AutoModelForAudioFrameClassification, "audio-xvector": AutoModelForXVector, "feature-extraction": AutoModel, logits: AutoModelForCTC };

const samples = waveforms.map((file) => {
  const bytes = readFileSync(file);
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
});
const answers = [];
if (task in MODELS) {
  const [processor, model] = [await AutoProcessor.from_pretrained(name), await MODELS[task].from_pretrained(name, options)];
  for (const waveform of samples) {
    const output = await model(await processor(waveform));
    answers.push(Object.fromEntries(Object.entries(output).map(([key, tensor]) => [key, tensor.tolist()])));
  }
} else {
  const run = await pipeline(task, name, options);
  for (const waveform of samples) answers.push(await run(waveform));
}
console.log(JSON.stringify({ version: env.version, answers }));
