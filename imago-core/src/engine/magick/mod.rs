//! ImageMagick, through the wand that its own command line is made of: the only folder with calls to it.
//!
//! The pixels are ImageMagick's by construction. What this folder adds is that nothing outside the bytes is opened, that
//! every complaint of ImageMagick's becomes an [`Error`] with a kind, and that a conversion ends when it is told to.
#![expect(
    unsafe_code,
    reason = "ImageMagick is a C library; all calls to it are here"
)]

pub(crate) mod formats;
pub(crate) mod header;
mod identify;
pub(crate) mod lane;
pub(crate) mod libjpeg;
pub(crate) mod libwebp;
mod named_file;
pub(crate) mod options;
mod policy;
mod profile;
pub(crate) mod runtime;
mod source;
#[cfg(test)]
mod tests;
mod text;
mod wand;

use std::ffi::{c_int, c_void};

use magick_rust::bindings::ExceptionType;

pub(crate) use header::header;
pub(crate) use identify::identify;
use source::Source;
use text::Output;
use wand::{Complaint, Wand};

use super::{Conversion, Converted, Engine, File, Format, Input, Stop, animation};
use crate::error::{Error, ErrorKind, Result};
use crate::operation::Step;

/// What the C beside libjpeg and libwebp calls to ask whether to go on.
type GoOn = unsafe extern "C" fn(stop: *const c_void) -> c_int;

/// Whether to go on, which the [`Stop`] says.
///
/// # Safety
///
/// The pointer is from a reference to one that is still there.
unsafe extern "C" fn go_on(stop: *const c_void) -> c_int {
    // SAFETY: the caller's promise.
    let stop = unsafe { &*stop.cast::<Stop>() };
    c_int::from(!stop.is_due())
}

/// Runs one conversion on this thread, to its end or until it is to stop.
pub(crate) fn convert(conversion: &Conversion<'_>) -> Result<Converted> {
    let mut output = Output::default();
    let mut wand = Wand::new(conversion.stop);
    let mut inputs = conversion.inputs.iter();
    let mut steps = conversion.steps;

    conversion.stop.on_step(0, steps.len() + 2);
    let source = inputs.next().ok_or_else(|| missing_input("the source"))?;
    let source = Source::of(source)?;
    if source.is_drawn() {
        let settings = steps.iter().take_while(|step| step.is_setting()).count();
        let before;
        (before, steps) = steps.split_at(settings);
        for step in before {
            run(&mut wand, step, &mut inputs, conversion, &mut output)?;
        }
    }
    output.note(source.read_into(&mut wand)?);
    profile::prepare(&mut wand, 0, conversion, &mut output)?;

    let animated = conversion.animations
        && animation::wants_coalesce(source.format(), images(&wand), conversion.steps);
    if animated {
        apply(&mut wand, &Step::new("-coalesce", &[]), &mut output)?;
        output.remark("the frames were completed before the first operation, as by `-coalesce`");
    }
    // To read and to write are steps too.
    let all = steps.len() + 2;
    for (index, step) in steps.iter().enumerate() {
        conversion.stop.on_step(index + 1, all);
        run(&mut wand, step, &mut inputs, conversion, &mut output)?;
    }
    conversion.stop.on_step(all - 1, all);
    if animated && animation::wants_optimise(conversion.format.name()) {
        apply(&mut wand, &Step::new("-layers", &["Optimize"]), &mut output)?;
        output.remark("the frames were reduced at the end, as by `-layers Optimize`");
    }
    // Settings reach the images when the next option runs, and the encoder reads them from the images.
    apply(&mut wand, &Step::new("-noop", &[]), &mut output)?;
    write(&mut wand, conversion, output)
}

/// Runs the steps that the fast lane leaves, on the image that it hands over, and writes the result.
fn run_rest(
    mut wand: Wand<'_>,
    steps: &[Step],
    conversion: &Conversion<'_>,
    mut output: Output,
) -> Result<Converted> {
    let mut inputs = conversion.inputs[1..].iter();
    for step in steps {
        run(&mut wand, step, &mut inputs, conversion, &mut output)?;
    }
    apply(&mut wand, &Step::new("-noop", &[]), &mut output)?;
    write(&mut wand, conversion, output)
}

/// Runs a step, with the next of the inputs if it wants one.
fn run<'a>(
    wand: &mut Wand<'_>,
    step: &Step,
    inputs: &mut impl Iterator<Item = &'a Input>,
    conversion: &Conversion<'a>,
    output: &mut Output,
) -> Result<()> {
    if step.input().is_none() {
        return apply(wand, step, output);
    }
    let input = inputs
        .next()
        .ok_or_else(|| missing_input(&step.to_string()))?;
    let before = images(wand);
    let warning = match step.option {
        "-read" => Source::of(input).and_then(|input| input.read_into(wand)),
        _ => named_file::apply(wand, step, input),
    };
    let warning = warning.map_err(|error| error.context(&format!("`{step}` failed")))?;
    output.note(warning);
    if step.option == "-read" {
        profile::prepare(wand, before, conversion, output)?;
    }
    Ok(())
}

fn images(wand: &Wand<'_>) -> usize {
    wand.extent().map_or(0, |extent| extent.images)
}

fn apply(wand: &mut Wand<'_>, step: &Step, output: &mut Output) -> Result<()> {
    let applied = output.apply(wand, step);
    wand.stop().check()?;
    output.note(applied.map_err(|complaint| step_error(step, &complaint))?);
    Ok(())
}

/// Encodes what the operations left.
fn write(
    wand: &mut Wand<'_>,
    conversion: &Conversion<'_>,
    mut output: Output,
) -> Result<Converted> {
    let format = conversion.format;
    let Some(extent) = wand.extent() else {
        return Err(Error::new(
            ErrorKind::OperationFailed,
            "the operations left no image to write",
        ));
    };
    let mut files = Vec::new();
    let written = if conversion.separate || (extent.images > 1 && !format.holds_frames()) {
        wand.write_each(format.name(), |bytes, scene, warning| {
            output.note(warning);
            files.push(File {
                bytes,
                scene: Some(scene),
            });
        })
    } else {
        wand.write(format.name()).map(|(bytes, warning)| {
            output.note(warning);
            files.push(File { bytes, scene: None });
        })
    };
    conversion.stop.check()?;
    written.map_err(|complaint| write_error(format, &complaint))?;
    Ok(Converted {
        files,
        width: extent.width,
        height: extent.height,
        frames: extent.images,
        output: output.into_text(),
        engine: Engine::Magick,
    })
}

fn write_error(format: &Format, complaint: &Complaint) -> Error {
    Error::new(
        kind(complaint, ErrorKind::OperationFailed),
        format!(
            "the result can't be written as {format}: {}",
            complaint.text
        ),
    )
}

/// The converter hands over as many inputs as there are steps that want one.
fn missing_input(of: &str) -> Error {
    Error::new(ErrorKind::Internal, format!("there is no input for {of}"))
}

fn step_error(step: &Step, complaint: &Complaint) -> Error {
    Error::new(
        kind(complaint, ErrorKind::OperationFailed),
        format!("`{step}` failed: {}", complaint.text),
    )
}

/// Whether an error is ImageMagick's for want of memory. No class says that and nothing else.
pub(crate) fn wants_memory(error: &Error) -> bool {
    const WORDS: &[&str] = &[
        "resources exhausted",
        "resourcesexhausted",
        "memory allocation",
        "memoryallocation",
    ];
    let text = error.to_string().to_ascii_lowercase();
    WORDS.iter().any(|word| text.contains(word))
}

/// The kind of an error of ImageMagick's, by its class; `otherwise` for those that say nothing more.
fn kind(complaint: &Complaint, otherwise: ErrorKind) -> ErrorKind {
    const RESOURCE_LIMIT: u32 = ExceptionType::ResourceLimitError as u32;
    const CACHE: u32 = ExceptionType::CacheError as u32;
    const OPTION: u32 = ExceptionType::OptionError as u32;
    const POLICY: u32 = ExceptionType::PolicyError as u32;
    const IMAGE: u32 = ExceptionType::ImageError as u32;
    match complaint.severity {
        RESOURCE_LIMIT | CACHE => ErrorKind::LimitExceeded,
        // "width or height exceeds limit" is in a class with much else.
        IMAGE if complaint.text.contains("limit") => ErrorKind::LimitExceeded,
        OPTION | POLICY if otherwise == ErrorKind::OperationFailed => ErrorKind::InvalidOperation,
        _ => otherwise,
    }
}
