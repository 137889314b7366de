// A process that follows a feed exits when it has nothing else to do.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { describe, test } from 'node:test';

import { Issuer } from './issuer.js';
import { Revoker, until } from './revoker.js';

const index = new URL('../index.js', import.meta.url).href;

// Runs code in a process of its own, in which feed follows the issuer. Its standard input ends when the test says.
async function run(t, prepare, code) {
  const issuer = await Issuer.start(t);
  const revoker = new Revoker(issuer);
  prepare?.(revoker);
  const script = `
    import { followRevocations } from ${JSON.stringify(index)};
    const life = new AbortController();
    const feed = followRevocations({ issuer: ${JSON.stringify(issuer.url)}, signal: life.signal });
    ${code}`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['pipe', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  let exit;
  child.on('exit', (...how) => {
    exit = how;
  });
  return { revoker, child, output: text(child.stdout), exited: () => until(() => exit !== undefined).then(() => exit) };
}

// They wait more than they work.
describe('a process', { concurrency: true, timeout: 300_000 }, () => {
  for (const [name, end] of [['close', 'feed.close()'], ['signal', 'life.abort()']]) {
    test(`${name} lets a process exit`, async (t) => {
      const { revoker, child, exited } = await run(t, null, `
        await feed.ready();
        process.stdin.on('data', () => { process.stdin.destroy(); ${end}; });`);
      await until(() => revoker.held === 1);
      child.stdin.write('end\\n');
      assert.deepEqual(await exited(), [0, null]);
    });
  }

  test('a pause between requests keeps no process', async (t) => {
    const away = (revoker) => {
      revoker.instead = (res) => res.writeHead(503, { 'Retry-After': '5' }).end();
    };
    const { revoker, exited } = await run(t, away, '');
    assert.deepEqual(await exited(), [0, null]);
    assert.equal(revoker.asked.length, 1);
  });

  test('a process waits for ready', async (t) => {
    const late = (revoker) => {
      revoker.instead = (res) => {
        revoker.instead = revoker.asked.length < 2 ? revoker.instead : undefined;
        res.writeHead(503, { 'Retry-After': '1' }).end();
      };
    };
    const { output, exited } = await run(t, late, `
      setTimeout(async () => {
        await feed.ready();
        console.log('ready', feed.healthy);
        feed.close();
      }, 300);`);
    assert.deepEqual(await exited(), [0, null]);
    assert.equal(await output, 'ready true\n');
  });
});
