// Measures sharp: a task a line on standard input, its timings a line on standard output.
import { readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const sharp = createRequire(`${process.env.IMAGO_SHARP}/`)('sharp');
sharp.cache(false);
// One thread a picture, which is also sharp's default here; several pictures are in flight where both cores are asked for.
sharp.concurrency(1);

const encode = (image, { format, quality }) => image.toFormat(format, quality ? { quality } : {});

const word = { text: '<span foreground="white">Imago</span>', rgba: true, dpi: 96, font: 'sans 24' };

function make(input, task, output) {
  let image = sharp(input, { animated: task.animated })
    .resize(output.width, output.height ?? undefined, { fit: 'inside', fastShrinkOnLoad: task.full !== true });
  if (task.finish) {
    image = image
      .sharpen({ sigma: 0.75 })
      .composite([{ input: { text: word }, gravity: 'south' }]);
  }
  return encode(image, output).toBuffer();
}

async function run({ task, units, in_flight: inFlight, keep }) {
  const inputs = await Promise.all(task.sources.map((file) => readFile(file)));
  let bytes = 0;
  const unit = async (times) => {
    const started = performance.now();
    for (const [source, input] of inputs.entries()) {
      const store = async (output, index) => {
        const result = await make(input, task, output);
        bytes += result.length;
        if (keep) await writeFile(`${keep}-${source}-${index}.${output.format}`, result);
      };
      if (inFlight > 1) await Promise.all(task.outputs.map(store));
      else for (const [index, output] of task.outputs.entries()) await store(output, index);
    }
    times.push(performance.now() - started);
  };
  const times = [];
  let left = units;
  const started = performance.now();
  await Promise.all(Array.from({ length: Math.min(inFlight, units) }, async () => {
    while (left-- > 0) await unit(times);
  }));
  return { total_ms: performance.now() - started, bytes: Math.round(bytes / units) };
}

console.log(JSON.stringify({ version: `sharp ${sharp.versions.sharp}, libvips ${sharp.versions.vips}, Node.js ${process.version}` }));
for await (const line of createInterface({ input: process.stdin })) {
  let answer;
  try {
    answer = await run(JSON.parse(line));
  } catch (error) {
    answer = { error: String(error) };
  }
  console.log(JSON.stringify(answer));
}
