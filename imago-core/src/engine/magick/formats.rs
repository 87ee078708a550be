//! ImageMagick's table of formats: which there are, and which one some bytes are in.

use std::ffi::CString;

use magick_rust::bindings as im;

use super::{policy, runtime};

/// What ImageMagick says of a format.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are the flags of a row of ImageMagick's table"
)]
pub(crate) struct RawFormat {
    pub(crate) name: String,
    pub(crate) description: String,
    /// As ImageMagick registers it, which it does for few formats.
    pub(crate) mime_type: Option<String>,
    /// Whether it is built in and may be read.
    pub(crate) readable: bool,
    /// Whether it is built in and may be written.
    pub(crate) writable: bool,
    /// Whether one file holds several images.
    pub(crate) multi_frame: bool,
    /// Whether it is coded in memory; others go through a temporary file of ImageMagick's.
    pub(crate) in_memory: bool,
    /// The module that reads it, shared by formats that look alike.
    pub(crate) module: String,
    /// Whether a file's name tells it from the others of its module.
    by_extension: bool,
}

/// The names of all formats that the library has.
///
/// Called while the library starts, so it does not wait for the start.
pub(crate) fn names() -> Vec<String> {
    let exception = runtime::Exception::new();
    let mut count = 0;
    // SAFETY: the pattern is a C string; the array returned is ours, its entries the library's.
    let list = unsafe { im::GetMagickInfoList(c"*".as_ptr(), &raw mut count, exception.as_ptr()) };
    if list.is_null() {
        return Vec::new();
    }
    let names = (0..count)
        .map(|index| {
            // SAFETY: the array holds `count` entries, each of which lives as long as the library.
            let info = unsafe { *list.add(index) };
            // SAFETY: as above; the name is a C string.
            runtime::lossy(unsafe { im::GetMagickName(info) })
        })
        .collect();
    // SAFETY: the array is ours and is not used any more.
    unsafe { im::RelinquishMagickMemory(list.cast()) };
    names
}

/// All formats that the library has.
pub(crate) fn all() -> Vec<RawFormat> {
    runtime::start();
    names().iter().filter_map(|name| find(name)).collect()
}

/// Looks up a format by ImageMagick's name, which is also what its file names end in.
pub(crate) fn find(name: &str) -> Option<RawFormat> {
    runtime::start();
    let name = CString::new(name.to_ascii_uppercase()).ok()?;
    let exception = runtime::Exception::new();
    // `GetMagickInfo` takes "" and "*" for the whole list.
    if name.is_empty() || name.as_bytes().contains(&b'*') {
        return None;
    }
    // SAFETY: the name and the exception outlive the call; the entry found lives as long as the library.
    let info = unsafe { im::GetMagickInfo(name.as_ptr(), exception.as_ptr()) };
    if info.is_null() {
        return None;
    }
    // SAFETY: `info` is an entry of the library's table, and these only read it.
    let (name, module, mime_type) = unsafe {
        (
            runtime::lossy(im::GetMagickName(info)),
            runtime::lossy(im::GetMagickModuleName(info)),
            runtime::lossy(im::GetMagickMimeType(info)),
        )
    };
    // SAFETY: as above.
    let description = runtime::lossy(unsafe { im::GetMagickDescription(info) });
    // SAFETY: as above.
    let (decoder, encoder) = unsafe { (im::GetImageDecoder(info), im::GetImageEncoder(info)) };
    // SAFETY: as above.
    let (adjoin, blob, by_extension) = unsafe {
        (
            im::GetMagickAdjoin(info),
            im::GetMagickBlobSupport(info),
            im::GetMagickUseExtension(info),
        )
    };
    let yes = im::MagickBooleanType::MagickTrue;
    Some(RawFormat {
        readable: decoder.is_some() && policy::may_read(&name),
        writable: encoder.is_some() && policy::may_write(&name),
        multi_frame: adjoin == yes,
        in_memory: blob == yes,
        by_extension: by_extension == yes,
        mime_type: Some(mime_type).filter(|mime_type| !mime_type.is_empty()),
        module,
        description,
        name,
    })
}

/// Formats whose bytes begin with nothing that tells them: for these alone the name is believed.
const WITHOUT_SIGNATURE: &[&str] = &["ICB", "TGA", "VDA", "VST", "WBMP"];

/// An icon or a cursor, whose signature is too plain for ImageMagick: a count of images must follow, each of them with
/// a reserved byte.
fn icon(bytes: &[u8]) -> Option<&'static str> {
    let name = match bytes.get(..4)? {
        [0, 0, 1, 0] => "ICO",
        [0, 0, 2, 0] => "CUR",
        _ => return None,
    };
    let count = usize::from(u16::from_le_bytes([*bytes.get(4)?, *bytes.get(5)?]));
    let entries = bytes.get(6..6 + 16 * count)?;
    // Reserved: zero, and 255 where .NET wrote it.
    let reserved = entries
        .chunks_exact(16)
        .all(|entry| matches!(entry[3], 0 | 255));
    (count > 0 && reserved).then_some(name)
}

/// Which format some bytes are in.
///
/// The bytes decide. `extension`, the ending of the object's name, is asked only to tell formats apart that begin
/// alike, as TIFF and the raw formats made of it, and for the few formats that have no signature.
pub(crate) fn sniff(bytes: &[u8], extension: Option<&str>) -> Option<RawFormat> {
    runtime::start();
    let exception = runtime::Exception::new();
    // SAFETY: the bytes and the exception outlive the call; what it returns is an entry of the library's table.
    let magic = unsafe { im::GetMagicInfo(bytes.as_ptr(), bytes.len(), exception.as_ptr()) };
    let named = extension.and_then(find);
    if magic.is_null() {
        if let Some(name) = icon(bytes) {
            return find(name);
        }
        return named.filter(|format| WITHOUT_SIGNATURE.contains(&format.name.as_str()));
    }
    // SAFETY: not null; an entry lives as long as the library, and its name is a C string.
    let found = match runtime::lossy(unsafe { im::GetMagicName(magic) }).as_str() {
        // Under its plain name ImageMagick tries another program first; this is librsvg, in process.
        "SVG" => find("RSVG")?,
        name => find(name)?,
    };
    match named {
        Some(named) if named.by_extension && named.module == found.name => Some(named),
        _ => Some(found),
    }
}
