/**
 * Reads a document of at most max bytes, after decompression. No redirect is followed: what is asked for comes from
 * where the issuer said, and a credential goes nowhere else.
 *
 * @param {typeof globalThis.fetch} fetch
 * @param {string} url
 * @param {RequestInit & {max: number}} options
 * @returns {Promise<{headers: Headers, bytes: Buffer}>}
 */
export async function readDocument(fetch, url, { max, ...init }) {
  const res = await fetch(url, { ...init, redirect: 'manual', headers: { Accept: 'application/json', ...init.headers } });
  const parts = [];
  let length = 0;
  for await (const part of res.body ?? []) {
    length += part.length;
    if (length > max) {
      throw new Error(`jotgate: ${url}: more than ${max} bytes`);
    }
    parts.push(part);
  }
  if (res.status !== 200) {
    throw new StatusError(url, res);
  }
  return { headers: res.headers, bytes: Buffer.concat(parts) };
}

/** An answer that is no 200. */
export class StatusError extends Error {
  constructor(url, { status, headers }) {
    super(`jotgate: ${url}: status ${status}`);
    this.status = status;
    /** What the answer says about when to ask again, in milliseconds; 0 if it says nothing. */
    this.retryAfter = Number(/^\d{1,9}$/.exec(headers.get('Retry-After') ?? '')?.[0] ?? 0) * 1000;
  }
}
