// Keeps the page, the engine and the bundle on the device, so that the page opens without network. `build.mjs` writes
// FILES, the list of them, and VERSION, a hash of their contents, in front of this.
/* global FILES, VERSION */

self.addEventListener("install", (event) => event.waitUntil(caches.open(VERSION).then((cache) => cache.addAll(FILES))));

self.addEventListener("activate", (event) => event.waitUntil(tidy()));

async function tidy() {
  const names = await caches.keys();
  await Promise.all(names.filter((name) => name !== VERSION).map((name) => caches.delete(name)));
  await self.clients.claim();
}

self.addEventListener("fetch", (event) => {
  if (event.request.method === "GET") event.respondWith(answer(event.request));
});

async function answer(request) {
  return (await caches.match(request, { ignoreSearch: true })) ?? fetch(request);
}
