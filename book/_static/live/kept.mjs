// Python's memory as it is when it has just started, kept by the browser from page to page: from it the next
// Python starts in a fraction of the time. Where a browser keeps nothing, Python starts as the first time.
const NAME = "python-started";

/** The bytes kept under this address, or null. */
export async function recall(address) {
  try {
    const found = await (await caches.open(NAME)).match(address);
    return found ? new Uint8Array(await found.arrayBuffer()) : null;
  } catch {
    return null; // private windows, or an address without https
  }
}

/** Keeps these bytes, in the place of any others. */
export async function keep(address, bytes) {
  try {
    await forget();
    await (await caches.open(NAME)).put(address, new Response(bytes));
  } catch {
    // No room: nothing is lost.
  }
}

/** Keeps nothing any more. */
export async function forget() {
  try {
    await caches.delete(NAME);
  } catch {
    // There was nothing.
  }
}
