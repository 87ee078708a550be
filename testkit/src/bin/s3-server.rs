//! A real S3 server for demonstrations: prints the environment that leads to it, then serves until its standard input
//! is closed.
#![expect(clippy::print_stdout, reason = "a program for scripts")]

use std::io::{Read, stdin};

use testkit::s3::S3;

fn main() -> std::io::Result<()> {
    let server = S3::start();
    for (name, value) in server.environment() {
        println!("export {name}='{value}'");
    }
    println!("export IMAGO_DEMO_BUCKET='{}'", server.bucket());
    println!("# ready");
    stdin().read_to_end(&mut Vec::new()).map(drop)
}
