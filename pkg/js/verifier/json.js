const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Reads bytes as one JSON object and refuses what parsers disagree about: a name that is there twice at any depth,
 * invalid UTF-8, a lone surrogate. JSON.parse by itself takes the last of two names. It costs as much as the text is
 * long, however deep it nests.
 *
 * @param {Uint8Array} bytes
 * @returns {Map<string, string>} the members, each with the text of its value
 */
export function members(bytes) {
  const text = utf8.decode(bytes);
  const value = JSON.parse(text); // from here on the text is JSON
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new Error('not a JSON object');
  }
  const found = new Map();
  /** @type {{names: Set<string> | null, expectsName: boolean}[]} what is open; names is null in an array */
  const open = [];
  let name = '';
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    const top = open.at(-1);
    switch (text[i]) {
      case '"': {
        const end = endOfString(text, i);
        const string = JSON.parse(text.slice(i, end));
        if (!string.isWellFormed()) {
          throw new Error('a lone surrogate');
        }
        if (top?.expectsName) {
          addName(top, string);
          name = open.length === 1 ? string : name;
        }
        i = end - 1;
        break;
      }
      case '{':
        open.push({ names: new Set(), expectsName: true });
        break;
      case '[':
        open.push({ names: null, expectsName: false });
        break;
      case ':':
        start = open.length === 1 ? i + 1 : start;
        break;
      case ',':
      case '}':
      case ']':
        if (open.length === 1 && !top.expectsName) {
          found.set(name, text.slice(start, i).trim());
        }
        if (text[i] === ',') {
          top.expectsName = top.names !== null;
        } else {
          open.pop();
        }
    }
  }
  return found;
}

/** The index behind the string that begins at start. */
function endOfString(text, start) {
  let i = start + 1;
  while (text[i] !== '"') {
    i += text[i] === '\\' ? 2 : 1;
  }
  return i + 1;
}

function addName(object, name) {
  if (object.names.has(name)) {
    throw new Error(`${JSON.stringify(name.slice(0, 64))} is there twice`);
  }
  object.names.add(name);
  object.expectsName = false;
}

/**
 * The member called name, which must be there and be a string with something in it.
 *
 * @param {Map<string, string>} all
 * @param {string} name
 */
export function stringIn(all, name) {
  const raw = all.get(name);
  if (raw === undefined || raw[0] !== '"' || raw === '""') {
    throw new Error(`${name} is missing, or not a string with something in it`);
  }
  return JSON.parse(raw);
}
