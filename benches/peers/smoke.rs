//! The driver of the peers' benchmark does its work, with the peers that are at hand; how fast is no matter here.

use std::fs;
use std::process::Command;

#[test]
fn the_driver_measures_and_reports() {
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report.md");
    let output = Command::new(env!("CARGO_BIN_EXE_bench-peers"))
        .args(["--smoke", "--report"])
        .arg(&report)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", output.status);
    let report = fs::read_to_string(report).unwrap();
    for task in ["### jpeg", "### png"] {
        let (_, section) = report.split_once(task).expect(task);
        let section = section.split("\n#").next().unwrap();
        for peer in ["imago", "magick"] {
            let row = section
                .lines()
                .find(|line| line.starts_with(&format!("| {peer} |")))
                .unwrap_or_else(|| panic!("no row of {peer} at {task}: {said}\n{section}"));
            let cells: Vec<_> = row.split('|').map(str::trim).collect();
            assert!(
                cells[2].starts_with(|first: char| first.is_ascii_digit()),
                "{row}"
            );
        }
        let equal = section
            .lines()
            .any(|line| line.starts_with("| magick |") && line.contains('∞'));
        assert!(
            equal,
            "`magick` is not equal to itself at {task}: {section}"
        );
    }
    assert!(
        !report.contains('{'),
        "a place of the template is not filled: {report}"
    );
}
