// How a session is told to people.

const BROWSERS = [[/\bEdg\//, 'Edge'], [/\bOPR\//, 'Opera'], [/\bFirefox\//, 'Firefox'], [/Chrome\//, 'Chrome'], [/\bSafari\//, 'Safari'], [/^curl\//, 'curl']];
const SYSTEMS = [[/\bAndroid\b/, 'Android'], [/\biP(hone|ad)\b/, 'iOS'], [/\bWindows\b/, 'Windows'], [/\bMac OS X\b/, 'macOS'], [/\bLinux\b/, 'Linux']];

const times = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });

/** Names the device of a session: as its user did, or by what its browser says. */
export function describe({ device, user_agent: agent }) {
  if (device) return device;
  const [browser, system] = [BROWSERS, SYSTEMS].map((list) => list.find(([pattern]) => pattern.test(agent))?.[1]);
  if (browser && system) return `${browser} on ${system}`;
  return browser ?? (agent || 'An unknown device');
}

/** Says an RFC 3339 time in the reader's language. */
export function when(time) {
  return times.format(new Date(time));
}
