// Timers, promises, files, crypto, zlib, big loops that the JIT compiles, garbage collection.
const fs = require('fs'), os = require('os'), path = require('path'), crypto = require('crypto'), zlib = require('zlib');
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'n-'));
console.log(process.version.split('.')[0], process.platform, process.arch, process.argv.length);
let sum = 0; for (let i = 0; i < 3e7; i++) sum = (sum + i * 7) % 1000003; console.log(sum);
console.log(crypto.createHash('sha256').update('x'.repeat(1e6)).digest('hex'), crypto.randomBytes(8).length);
console.log(zlib.gunzipSync(zlib.gzipSync(Buffer.alloc(1e6, 'ab'))).length);
let kept = []; for (let i = 0; i < 200; i++) { kept.push(new Array(10000).fill(i)); if (kept.length > 20) kept = []; } console.log(kept.length);
(async () => {
  const order = [];
  setTimeout(() => order.push('timeout 20'), 20); setTimeout(() => order.push('timeout 1'), 1); setImmediate(() => order.push('immediate'));
  process.nextTick(() => order.push('tick')); await Promise.resolve(); order.push('promise');
  let ticks = 0; await new Promise(done => { const timer = setInterval(() => { if (++ticks === 5) { clearInterval(timer); done(); } }, 8); });
  console.log(ticks, order[0], order[1], order.includes('timeout 20'));
  await fs.promises.writeFile(path.join(folder, 'f'), 'written'); console.log(await fs.promises.readFile(path.join(folder, 'f'), 'utf8'));
  await new Promise((done, fail) => fs.createReadStream('/usr/bin/env').pipe(crypto.createHash('md5')).on('finish', done).on('error', fail));
  const watcher = fs.watch(folder); const changed = new Promise(done => watcher.once('change', (_, name) => done(name)));
  fs.writeFileSync(path.join(folder, 'g'), ''); console.log('watched', await changed); watcher.close();
  console.log(fs.readdirSync(folder), fs.statSync(path.join(folder, 'f')).size);
  try { fs.readFileSync('/no/such'); } catch (error) { console.log(error.code); }
  process.on('SIGUSR2', () => { console.log('signal'); fs.rmSync(folder, { recursive: true }); process.exitCode = 0; clearInterval(alive); });
  const alive = setInterval(() => {}, 1000); process.kill(process.pid, 'SIGUSR2');
})();
