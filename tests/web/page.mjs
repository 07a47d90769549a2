// node page.mjs REQUEST: drives the example's page in a headless Chromium that reaches this machine alone.
// REQUEST is a JSON file: { chromium, site, query, microphone, steps: [[name, argument], ...] }. Prints JSON.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { once } from "node:events";
import puppeteer from "puppeteer-core";

const request = JSON.parse(readFileSync(process.argv[2], "utf8"));
const args = ["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost", "--autoplay-policy=no-user-gesture-required",
  "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream", `--use-file-for-fake-audio-capture=${request.microphone}`, ...(request.flags ?? [])];

async function serve() {
  const server = spawn(process.execPath, ["serve.mjs", request.site, "0"], { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = await once(server.stdout, "data");
  return [server, String(line).trim()];
}

let [server, url] = await serve();
const browser = await puppeteer.launch({ executablePath: request.chromium, headless: true, args, protocolTimeout: 600_000 });
const page = await browser.newPage();
const log = [], elsewhere = [];
page.on("console", (message) => log.push(message.text()));
page.on("pageerror", (error) => log.push(String(error)));
page.on("request", (each) => {
  if (/^(https?|wss?):/.test(each.url()) && !each.url().startsWith(url)) elsewhere.push(each.url());
});

const state = () => page.$eval("#state", (node) => node.textContent);
const shown = () => page.$$eval("#text p", (lines) => lines.map((line) => [...line.querySelectorAll("span")].map((word) => word.firstChild.textContent)));
const until = (pattern) => page.waitForFunction((text) => new RegExp(text).test(document.getElementById("state").textContent), { timeout: 300_000 }, pattern);
const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, 1000 * seconds));

const STEPS = {
  async open() {
    await page.goto(`${url}${request.query}`);
    await until("^Ready");
    return state();
  },
  /** Cut the network: the server ends, and the page is opened again. */
  async cut() {
    await page.evaluate(async () => (await navigator.serviceWorker.ready).active.state);
    server.kill();
    await once(server, "exit");
    await page.goto(`${url}${request.query}`);
    await until("^Ready");
    return state();
  },
  /** Choose a file, as a person does. */
  async choose(file) {
    const input = await page.$("#file");
    await input.uploadFile(file);
    await until("of sound in");
    return { words: await shown(), state: await state() };
  },
  /** Transcribe files of float32 by the module, without the page. */
  async transcribe(files) {
    const texts = [];
    await page.evaluate(async (query) => {
      const { Recognizer } = await import("./edgespeech.js");
      window.recognizer = await Recognizer.load("bundle", { device: new URLSearchParams(query).get("device") ?? "auto" });
    }, request.query);
    for (const file of files) {
      texts.push(
        await page.evaluate(async (content) => {
          const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
          return recognizer.transcribe(new Float32Array(bytes.buffer));
        }, readFileSync(file, "base64")),
      );
    }
    return texts;
  },
  /** Captions of the fake microphone, for so many seconds. */
  async captions(seconds) {
    const partial = [];
    await page.click("#live");
    await until("Listening");
    for (let second = 0; second < seconds; second++) {
      await pause(1);
      partial.push((await shown()).flat().join(" "));
    }
    await page.click("#live");
    await until("^Ready");
    return { partial, words: await shown() };
  },
  evaluate: (code) => page.evaluate(code),
  screenshot: (file) => page.screenshot({ path: file }),
};

const answers = [];
try {
  for (const [name, argument] of request.steps) answers.push(await STEPS[name](argument));
  console.log(JSON.stringify({ version: await browser.version(), answers, elsewhere, log }));
} catch (error) {
  console.error(String(error.stack), "\nthe page said:", await state().catch(() => "nothing"), "\nits console:", log.join("\n"));
  process.exitCode = 1;
} finally {
  await browser.close();
  server.kill();
}
