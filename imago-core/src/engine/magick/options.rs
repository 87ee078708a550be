//! ImageMagick's tables of options, and its own readers of what may stand in an argument.

use std::ffi::{CStr, CString};
use std::ptr;

use magick_rust::bindings as im;

use super::runtime;

/// A row of ImageMagick's option table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawOption {
    /// Sign included: `-resize`, `+repage`, `(`.
    pub(crate) option: &'static str,
    pub(crate) arity: usize,
    /// Bits of [`flag`].
    pub(crate) flags: u32,
}

/// The bits of `CommandOptionFlags` in `MagickCore/option.h`.
pub(crate) mod flag {
    /// A setting of any of ImageMagick's four sorts.
    pub(crate) const SETTING: u32 = 0x000F;
    /// Works on each image by itself.
    pub(crate) const SIMPLE_OPERATOR: u32 = 0x0020;
    /// Works on the list of images.
    pub(crate) const LIST_OPERATOR: u32 = 0x0040;
    /// Steers the start of ImageMagick's programs.
    pub(crate) const GENESIS: u32 = 0x0080;
    /// Handled by ImageMagick's programs themselves.
    pub(crate) const SPECIAL: u32 = 0x0100;
    /// Of ImageMagick's other programs.
    pub(crate) const NON_MAGICK: u32 = 0x1000;
    /// Has no code any more.
    pub(crate) const DEPRECATED: u32 = 0x4000;
}

/// Every row of the table.
pub(crate) fn all() -> impl Iterator<Item = RawOption> {
    runtime::start();
    // SAFETY: the call takes no pointer; it returns null or a null-terminated array of C strings that is ours.
    let names = unsafe { im::GetCommandOptions(im::CommandOption::MagickCommand) };
    let mut rows = Vec::new();
    if names.is_null() {
        return rows.into_iter();
    }
    for index in 0.. {
        // SAFETY: the array ends with a null, and the loop ends there.
        let name = unsafe { *names.add(index) };
        if name.is_null() {
            break;
        }
        // SAFETY: `name` is a C string; the row found for it is in a static table of the library.
        let row = unsafe { im::GetCommandOptionInfo(name) };
        // SAFETY: the call never returns null: for an unknown name it returns the table's last row, with a null name.
        let row = unsafe { &*row };
        if row.mnemonic.is_null() {
            continue;
        }
        // SAFETY: the table's names are C strings that live as long as the library, which is never unloaded.
        let option: &'static CStr = unsafe { CStr::from_ptr(row.mnemonic) };
        if let (Ok(option), Ok(arity), Ok(flags)) = (
            option.to_str(),
            usize::try_from(row.type_),
            u32::try_from(row.flags),
        ) {
            rows.push(RawOption {
                option,
                arity,
                flags,
            });
        }
    }
    // SAFETY: the array came from `GetCommandOptions`, and no name in it is used any more: rows hold the static ones.
    unsafe { im::DestroyStringList(names) };
    rows.into_iter()
}

/// Whether ImageMagick reads this as a [geometry](https://imagemagick.org/script/command-line-processing.php#geometry).
pub(crate) fn is_geometry(argument: &str) -> bool {
    let Ok(argument) = CString::new(argument) else {
        return false;
    };
    runtime::start();
    // SAFETY: the argument is a C string that outlives the call.
    unsafe { im::IsGeometry(argument.as_ptr()) == im::MagickBooleanType::MagickTrue }
}

/// Whether ImageMagick reads this as a [colour](https://imagemagick.org/script/color.php).
pub(crate) fn is_color(argument: &str) -> bool {
    let Ok(argument) = CString::new(argument) else {
        return false;
    };
    runtime::start();
    let mut color = std::mem::MaybeUninit::<im::PixelInfo>::zeroed();
    let exception = runtime::Exception::new();
    // SAFETY: all pointers outlive the call, which fills `color` and reads none of it.
    let status = unsafe {
        im::QueryColorCompliance(
            argument.as_ptr(),
            im::ComplianceType::All,
            color.as_mut_ptr(),
            exception.as_ptr(),
        )
    };
    status == im::MagickBooleanType::MagickTrue
}

/// Splits a drawing as ImageMagick's vector language does.
pub(crate) fn drawing_tokens(drawing: &str) -> Vec<String> {
    let Ok(text) = CString::new(drawing) else {
        return Vec::new();
    };
    let mut tokens = Vec::new();
    // No token is longer than the text it comes from.
    let mut token = vec![0_u8; drawing.len() + 2];
    let mut rest = text.as_ptr();
    loop {
        // SAFETY: `rest` points into `text`, at its closing NUL at the latest.
        if unsafe { *rest } == 0 {
            return tokens;
        }
        let start = rest;
        // SAFETY: `rest` is a C string, and `token` holds the extent that is said; the call moves `rest` on within it.
        unsafe {
            im::GetNextToken(
                start,
                ptr::from_mut(&mut rest),
                token.len(),
                token.as_mut_ptr().cast(),
            );
        }
        if let Ok(word) = CStr::from_bytes_until_nul(&token)
            && !word.is_empty()
        {
            tokens.push(word.to_string_lossy().into_owned());
        }
        if rest == start {
            return tokens;
        }
    }
}
