import { CrossOriginError, InvalidTokenError, MalformedRequestError, NoCredentialsError } from './errors.js';

/** The name of the cookie that carries the access token of a cookie session. */
export const COOKIE_NAME = '__Host-Http-jotgate-access';

// All values of a header. Node's req.headers keeps one Authorization of several, so that what is there twice cannot be
// seen in it.
function values(req, name) {
  const found = [];
  for (let i = 0; i < req.rawHeaders.length; i += 2) {
    if (req.rawHeaders[i].toLowerCase() === name) {
      found.push(req.rawHeaders[i + 1]);
    }
  }
  return found;
}

/**
 * What a request presents: the token in its Authorization header (RFC 6750, section 2.1), or without such a header the
 * one in the cookie. With the header the cookies do not count, so that a stale one never changes a bearer request.
 *
 * @param {import('node:http').IncomingMessage} req
 * @returns {{token: string, mode: 'bearer' | 'cookie'}}
 */
export function fromRequest(req) {
  const given = values(req, 'authorization');
  if (given.length > 1) {
    throw new MalformedRequestError();
  }
  if (given.length === 0) {
    return { token: cookie(req, COOKIE_NAME), mode: 'cookie' };
  }
  const [scheme] = given[0].split(' ', 1);
  if (scheme.toLowerCase() !== 'bearer') {
    throw new NoCredentialsError();
  }
  const token = given[0].slice(scheme.length + 1);
  if (!/^[A-Za-z0-9._~+/-]+=*$/.test(token)) { // RFC 9110, section 11.2
    throw new InvalidTokenError('not token68');
  }
  return { token, mode: 'bearer' };
}

function cookie(req, name) {
  const found = values(req, 'cookie')
    .flatMap((header) => header.split(';'))
    // Space and tab only (RFC 6265, section 5.2): to a browser a no-break space is part of a name, so that a sibling
    // site may set such a cookie, and no __Host- protects ours.
    .map((pair) => pair.replace(/^[ \t]+|[ \t]+$/g, '').split(/=(.*)/s, 2))
    .filter(([given]) => given === name);
  if (found.length > 1) {
    throw new MalformedRequestError();
  }
  if (found.length === 0) {
    throw new NoCredentialsError();
  }
  return found[0][1] ?? '';
}

/**
 * Throws unless the request only reads (GET, HEAD, OPTIONS, and no WebSocket) or shows that it comes from one of origins:
 * by Sec-Fetch-Site: same-origin, which a browser lets no page set, else by an Origin that equals one of them exactly. A
 * request that shows neither is refused.
 *
 * @param {import('node:http').IncomingMessage} req
 * @param {string[]} origins
 */
export function checkOrigin(req, origins) {
  if (['GET', 'HEAD', 'OPTIONS'].includes(req.method) && !opensWebSocket(req)) {
    return;
  }
  const site = values(req, 'sec-fetch-site');
  if (site.length > 1) {
    throw new CrossOriginError();
  }
  if (site[0] === 'same-origin') {
    return;
  }
  const origin = values(req, 'origin');
  // "null" is what every sandboxed page sends; no list can mean it.
  if (origin.length !== 1 || ['', 'null'].includes(origin[0]) || !origins.includes(origin[0])) {
    throw new CrossOriginError();
  }
}

// Whether a request asks for a WebSocket (RFC 6455, section 4.1). That is a GET, and what is written through the socket
// later shows no origin. A proxy may drop Upgrade, as a header of one connection; a browser always sends a version.
function opensWebSocket(req) {
  return ['sec-websocket-version', 'sec-websocket-key'].some((name) => values(req, name).length > 0)
    || values(req, 'upgrade').join().split(',').some((protocol) => protocol.trim().toLowerCase() === 'websocket');
}
