//! Landlock: which files a child may read, and where it may write.

use std::collections::BTreeSet;
use std::error::Error;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, LandlockStatus,
    PathBeneath, PathFd, RestrictionStatus, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _,
    RulesetStatus, Scope,
};

/// What libraries load when it is first wanted: their own parts, fonts and what describes them, colour profiles,
/// ImageMagick's tables, names of types. None of it is anybody's secret.
const READ_ONLY: &[&str] = &[
    "/dev/null",
    "/dev/urandom",
    "/etc/fonts",
    "/etc/ld.so.cache",
    "/etc/ImageMagick-6",
    "/etc/ImageMagick-7",
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/etc/ImageMagick-7",
    "/usr/local/lib",
    "/usr/local/lib64",
    "/usr/local/share/ImageMagick-7",
    "/usr/local/share/fonts",
    "/usr/share/ImageMagick-7",
    "/usr/share/X11",
    "/usr/share/color",
    "/usr/share/fontconfig",
    "/usr/share/fonts",
    "/usr/share/ghostscript",
    "/usr/share/libthai",
    "/usr/share/locale",
    "/usr/share/mime",
    "/usr/share/poppler",
    "/usr/share/texmf",
    "/usr/share/xml/fontconfig",
    "/var/cache/fontconfig",
    "/var/lib/ghostscript",
];

/// What is allowed beside [`READ_ONLY`].
#[derive(Debug, Default)]
pub(super) struct More {
    pub(super) read_only: Vec<PathBuf>,
    /// Where files may be written.
    pub(super) writable: PathBuf,
    /// The program that may be run.
    pub(super) program: Option<PathBuf>,
}

/// Restricts this process, and gives the version of Landlock's interface by which it was done; 0 if the kernel has none.
pub(super) fn restrict(more: More) -> Result<u32, Box<dyn Error + Send + Sync>> {
    let abi = ABI::V6;
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(abi))?
        .handle_access(AccessNet::from_all(abi))?
        .scope(Scope::from_all(abi))?
        .create()?;
    let paths: BTreeSet<_> = READ_ONLY
        .iter()
        .map(PathBuf::from)
        .chain(more.read_only)
        .chain(libraries())
        .collect();
    for path in paths {
        // What is not there can't be read either.
        if let Ok(file) = PathFd::new(&path) {
            let access = AccessFs::ReadFile | AccessFs::ReadDir;
            let access = if path.is_dir() {
                access
            } else {
                AccessFs::ReadFile.into()
            };
            rules = rules.add_rule(PathBeneath::new(file, access))?;
        }
    }
    let access = AccessFs::ReadFile
        | AccessFs::ReadDir
        | AccessFs::WriteFile
        | AccessFs::MakeReg
        | AccessFs::RemoveFile
        | AccessFs::Truncate;
    rules = rules.add_rule(PathBeneath::new(PathFd::new(&more.writable)?, access))?;
    if let Some(program) = more.program {
        // The kernel runs a program by way of the loader, which is the one that this program was run by.
        for path in std::iter::once(program).chain(loader()) {
            let access = AccessFs::ReadFile | AccessFs::Execute;
            rules = rules.add_rule(PathBeneath::new(PathFd::new(path)?, access))?;
        }
    }
    let RestrictionStatus {
        ruleset, landlock, ..
    } = rules.restrict_self()?;
    Ok(match (ruleset, landlock) {
        (RulesetStatus::NotEnforced, _) => 0,
        (
            _,
            LandlockStatus::Available {
                effective_abi,
                kernel_abi,
            },
        ) => kernel_abi
            .and_then(|abi| u32::try_from(abi).ok())
            .unwrap_or(effective_abi as u32),
        _ => 0,
    })
}

/// The file that loads this process's libraries.
fn loader() -> Option<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let paths = maps
        .lines()
        .filter_map(|line| line.find('/').map(|at| Path::new(&line[at..])));
    let is_loader = |path: &&Path| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with("ld-") || name.starts_with("ld."))
    };
    paths.into_iter().find(is_loader).map(Path::to_owned)
}

/// The directories that this process's libraries were loaded from, and of ImageMagick's the tables.
fn libraries() -> BTreeSet<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let mut directories = BTreeSet::new();
    for line in maps.lines() {
        let path = line.find('/').map(|at| Path::new(&line[at..]));
        let Some((path, directory)) = path.and_then(|path| Some((path, path.parent()?))) else {
            continue;
        };
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if !name.contains(".so") {
            continue;
        }
        directories.insert(directory.to_owned());
        if name.starts_with("libMagickCore-7")
            && let Some(prefix) = directory.parent()
        {
            for tables in ["etc/ImageMagick-7", "share/ImageMagick-7"] {
                directories.insert(prefix.join(tables));
            }
        }
    }
    // A library at the root would open everything.
    directories.remove(Path::new("/"));
    directories
}
