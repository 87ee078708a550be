//! Compiles the little C that stands between Rust and libjpeg; see `src/engine/magick/libjpeg.c`.

use std::path::Path;

fn main() {
    let folder = Path::new("src/engine/magick");
    for file in ["libjpeg.c", "libjpeg.h"] {
        println!("cargo::rerun-if-changed={}", folder.join(file).display());
    }
    let mut build = cc::Build::new();
    // It says how to link, too. Where there is no pkg-config the compiler may still know the place.
    match pkg_config::probe_library("libjpeg") {
        Ok(library) => {
            build.includes(library.include_paths);
        }
        Err(_) => println!("cargo::rustc-link-lib=jpeg"),
    }
    build
        .file(folder.join("libjpeg.c"))
        .include(folder)
        .opt_level(2)
        .compile("imago-libjpeg");
}
