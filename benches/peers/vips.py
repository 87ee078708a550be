"""Measures pyvips: a task a line on standard input, its timings a line on standard output."""

import json
import sys
import threading
import time

import pyvips

for forget in (pyvips.cache_set_max, pyvips.cache_set_max_mem, pyvips.cache_set_max_files):
    forget(0)


def make(data, task, output):
    """One output of one source, by the operation that libvips recommends for it."""
    image = pyvips.Image.thumbnail_buffer(
        data,
        output["width"],
        height=output["height"] or 10_000_000,
        size="down",
        option_string="n=-1" if task["animated"] else "",
    )
    if task["finish"]:
        image = image.sharpen(sigma=0.75)
        word = pyvips.Image.text("Imago", font="sans 24", dpi=96)
        word = word.new_from_image([255, 255, 255]).copy(interpretation="srgb").bandjoin(word)
        image = image.composite2(word, "over", x=(image.width - word.width) // 2, y=image.height - word.height - 20)
    options = {"Q": output["quality"]} if output["quality"] else {}
    if output["format"] == "avif":
        return image.heifsave_buffer(compression="av1", **options)
    return image.write_to_buffer("." + output["format"], **options)


def run(task, units, in_flight, keep):
    """Runs the task so many times, and so many at once."""
    inputs = []
    for file in task["sources"]:
        with open(file, "rb") as opened:
            inputs.append(opened.read())
    jobs = [
        (source, data, index, output)
        for _ in range(units)
        for source, data in enumerate(inputs)
        for index, output in enumerate(task["outputs"])
    ]
    sizes, errors, lock = [], [], threading.Lock()

    def work():
        while True:
            with lock:
                if not jobs or errors:
                    return
                source, data, index, output = jobs.pop()
            try:
                result = make(data, task, output)
                sizes.append(len(result))
                if keep:
                    with open(f"{keep}-{source}-{index}.{output['format']}", "wb") as file:
                        file.write(result)
            except pyvips.Error as error:
                errors.append(str(error))

    started = time.perf_counter()
    threads = [threading.Thread(target=work) for _ in range(in_flight)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        return {"error": errors[0]}
    return {"total_ms": (time.perf_counter() - started) * 1000, "bytes": sum(sizes) // units}


def answer(value):
    """One line of JSON."""
    print(json.dumps(value), flush=True)


VERSION = ".".join(str(pyvips.version(part)) for part in range(3))
answer({"version": f"pyvips {pyvips.__version__}, libvips {VERSION}, Python {sys.version.split()[0]}"})
for line in sys.stdin:
    answer(run(**json.loads(line)))
