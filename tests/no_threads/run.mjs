// node run.mjs MODULE: calls what src/lib.rs exports, and fails unless each call ends as it should.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { argv } from 'node:process';

let message = '';
const host = {
    panicked(start, length) {
        message = new TextDecoder().decode(new Uint8Array(wasm.memory.buffer, start, length));
    },
};
const { instance } = await WebAssembly.instantiate(await readFile(argv[2]), { host });
const wasm = instance.exports;

assert.equal(wasm.takes_what_is_free(), 1);
assert.equal(wasm.is_refused_when_closed(), 1);
assert.equal(message, '');
assert.throws(() => wasm.waits(), WebAssembly.RuntimeError);
assert.match(message, /src\/lib\.rs:\d+.*\ncannot wait for permits: this target has no other thread/);
console.log(message);
