//! Compiles the little C that stands between Rust and libjpeg and libwebp; see `src/engine/magick/libjpeg.c` and `libwebp.c`.

use std::path::Path;

fn main() {
    compile("libjpeg", "jpeg");
    compile("libwebp", "webp");
}

/// Compiles the C for a library, of which these are the names to pkg-config and to the linker.
fn compile(library: &str, linked: &str) {
    let folder = Path::new("src/engine/magick");
    for end in ["c", "h"] {
        let file = folder.join(format!("{library}.{end}"));
        println!("cargo::rerun-if-changed={}", file.display());
    }
    let mut build = cc::Build::new();
    // It says how to link, too. Where there is no pkg-config the compiler may still know the place.
    match pkg_config::probe_library(library) {
        Ok(found) => {
            build.includes(found.include_paths);
        }
        Err(_) => println!("cargo::rustc-link-lib={linked}"),
    }
    build
        .file(folder.join(format!("{library}.c")))
        .include(folder)
        .opt_level(2)
        .compile(&format!("imago-{library}"));
}
