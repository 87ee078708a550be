//! The report, from its template.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use chrono::Utc;

use crate::goal;
use crate::measure::{Measured, Table};
use crate::statistic::Spread;

const TEMPLATE: &str = include_str!("report.template.md");

/// What a person found out about the figures: where the time goes, and why a goal is not reached.
const REMARKS: &str = include_str!("remarks.md");

/// The report as text.
pub(crate) fn write(tables: &[Table], load: &str, photograph: Option<&Path>) -> String {
    let mut versions = BTreeMap::new();
    for measured in tables.iter().flat_map(|table| &table.measured) {
        versions.insert(measured.kind.name(), measured.version.as_str());
    }
    let versions: Vec<_> = versions
        .into_iter()
        .map(|(name, version)| format!("- {name}: {version}"))
        .collect();
    let photograph = photograph.and_then(Path::file_name).map(|name| {
        let name = name.to_string_lossy();
        format!(" But the one of 2725 × 2225 pixels is `{name}` (`--photograph`).")
    });
    let tasks: String = tables.iter().map(section).collect();
    let text = TEMPLATE
        .replace(
            "{date}",
            &Utc::now().format("%Y-%m-%d %H:%M UTC").to_string(),
        )
        .replace("{commit}", &commit())
        .replace("{machine}", &machine())
        .replace("{load}", load)
        .replace("{photograph}", &photograph.unwrap_or_default())
        .replace("{goals}", &goal::rows(tables).join("\n"))
        .replace("{tasks}", &tasks)
        .replace("{versions}", &versions.join("\n"));
    if REMARKS.trim().is_empty() {
        text.replace("{remarks}\n\n", "")
    } else {
        text.replace("{remarks}", REMARKS.trim())
    }
}

fn section(table: &Table) -> String {
    let mut text = format!(
        "### {}\n\n{}.\n\n| | pictures/s | ms | PSNR, dB | bytes | peak | idle |\n| --- | --- | --- | --- | --- | --- | --- |\n",
        table.task.name, table.task.about,
    );
    for measured in &table.measured {
        text.push_str(&row(measured));
    }
    text.push('\n');
    for (kind, reason) in &table.missing {
        // Writing to a string does not fail.
        writeln!(text, "{} is missing: {reason}\n", kind.name()).ok();
    }
    text
}

fn row(measured: &Measured) -> String {
    let spread = |figures: &[f64]| {
        let spread = Spread::of(figures.iter().copied());
        spread.map_or("–".to_owned(), |spread| spread.text(1))
    };
    let psnr = match measured.psnr {
        None => "–".to_owned(),
        Some(psnr) if psnr.is_infinite() => "∞".to_owned(),
        Some(psnr) => format!("{psnr:.1}"),
    };
    let idle = match measured.idle {
        0 => "–".to_owned(),
        idle => mebibytes(idle),
    };
    format!(
        "| {} | {} | {} | {psnr} | {} | {} | {idle} |\n",
        measured.kind.name(),
        spread(&measured.parallel),
        spread(&measured.serial),
        measured.bytes,
        mebibytes(measured.peak),
    )
}

fn mebibytes(bytes: u64) -> String {
    (bytes >> 20).to_string()
}

fn machine() -> String {
    let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
    let after = |text: &str, name: &str, separator: char| {
        let line = text.lines().find(|line| line.starts_with(name));
        let value = line.and_then(|line| line.split_once(separator));
        value.map_or("?".to_owned(), |(_, value)| {
            value.trim().trim_matches('"').to_owned()
        })
    };
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let memory = after(&read("/proc/meminfo"), "MemTotal", ':');
    let memory: u64 = memory
        .split(' ')
        .next()
        .and_then(|kibibytes| kibibytes.parse().ok())
        .unwrap_or(0);
    format!(
        "{processors} cores of {}, {} GiB of memory, {}, Linux {}.",
        after(&read("/proc/cpuinfo"), "model name", ':'),
        memory >> 20,
        after(&read("/etc/os-release"), "PRETTY_NAME", '='),
        read("/proc/sys/kernel/osrelease").trim()
    )
}

/// How busy the machine is, in the kernel's words: above 0.5 the figures are worth little.
pub(crate) fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = text.split(' ').next().unwrap_or_default();
    match load.parse::<f64>() {
        Ok(number) if number > 0.5 => format!(
            "{load}: **the machine was busy with something else**, so figures and ratios are not to be relied on"
        ),
        Ok(_) => load.to_owned(),
        Err(_) => "?".to_owned(),
    }
}

fn commit() -> String {
    let output = Command::new("git")
        .args(["describe", "--always", "--dirty", "--exclude=*"])
        .current_dir(crate::repository())
        .output();
    match output {
        Ok(output) if output.status.success() => {
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        }
        _ => "unknown".to_owned(),
    }
}
