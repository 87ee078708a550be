//! Files, and the folders they must lie in.

use std::io;
use std::path::{Component, Path as FilePath, PathBuf};

use object_store::path::Path;

use super::Location;
use crate::{Error, ErrorKind, Result};

/// The folders that `file://` may name files in.
#[derive(Debug, Clone, Default)]
pub(super) struct Files {
    /// Canonical.
    roots: Vec<PathBuf>,
    /// As they were configured: where a root is a link, URLs may go through it.
    named_roots: Vec<PathBuf>,
    anywhere: bool,
}

impl Files {
    /// Roots must exist: one that appeared later could be anything, a link to `/` included.
    pub(super) fn new(roots: &[PathBuf], anywhere: bool) -> Result<Self> {
        let canonical = |root: &PathBuf| {
            let folder = root.canonicalize().and_then(|path| {
                if path.is_dir() {
                    Ok(path)
                } else {
                    Err(io::ErrorKind::NotADirectory.into())
                }
            });
            folder.map_err(|e| {
                Error::new(
                    ErrorKind::StoreNotAllowed,
                    format!("the file root `{}` is no readable folder", root.display()),
                )
                .with_source(e)
            })
        };
        Ok(Self {
            roots: roots.iter().map(canonical).collect::<Result<_>>()?,
            named_roots: roots
                .iter()
                .filter_map(|root| std::path::absolute(root).ok())
                .collect(),
            anywhere,
        })
    }

    pub(super) fn allowed(&self) -> bool {
        self.anywhere || !self.roots.is_empty()
    }

    /// Whether the path begins as a root does. Where it leads is another question, which only the file system answers.
    pub(super) fn names(&self, path: &FilePath) -> bool {
        let below = |root: &PathBuf| path.starts_with(root);
        let climbs = path.components().any(|part| part == Component::ParentDir);
        self.anywhere
            || (!climbs && (self.roots.iter().any(below) || self.named_roots.iter().any(below)))
    }

    /// The file's real path, with all links followed, if it lies below a root; as `object_store` wants it, from `/`.
    ///
    /// Blocks on the file system. Someone who may write below a root can replace a folder by a link between this check
    /// and the access: roots are for folders that only trusted programs write to.
    pub(super) fn resolve(&self, path: &FilePath, location: &Location) -> Result<Path> {
        let real = real_path(path).map_err(|e| match e.kind() {
            io::ErrorKind::PermissionDenied => Error::new(
                ErrorKind::AccessDenied,
                format!("the file system refuses access to `{location}`"),
            )
            .with_source(e),
            _ => Error::new(
                ErrorKind::NotFound,
                format!("there is no file `{location}`"),
            )
            .with_source(e),
        })?;
        let below = |root: &PathBuf| real != *root && real.starts_with(root);
        if !self.anywhere && !self.roots.iter().any(below) {
            return Err(outside(location));
        }
        // Reading a pipe or a device could block a thread for ever.
        if let Ok(metadata) = std::fs::metadata(&real)
            && !metadata.is_file()
        {
            return Err(Error::new(
                ErrorKind::NotFound,
                format!("`{location}` is no regular file"),
            ));
        }
        let unusable = || {
            Error::new(
                ErrorKind::InvalidUrl,
                format!(
                    "the file `{location}` cannot be used: its real path must be UTF-8, without control characters, and must not end with `#` and digits"
                ),
            )
        };
        let key = real.to_str().ok_or_else(unusable)?;
        let key = key.strip_prefix('/').unwrap_or(key);
        // `object_store` keeps such names for its unfinished uploads.
        let staging = key
            .rsplit_once('#')
            .is_some_and(|(_, rest)| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()));
        match Path::parse(key) {
            Ok(path) if path.as_ref() == key && !staging => Ok(path),
            Ok(_) => Err(unusable()),
            Err(e) => Err(unusable().with_source(e)),
        }
    }
}

/// The error for a file below no root.
pub(super) fn outside(location: &Location) -> Error {
    Error::new(
        ErrorKind::StoreNotAllowed,
        format!("the file `{location}` does not lie below a folder that the configuration allows"),
    )
}

/// Follows links in the part of the path that exists; what does not exist yet must be plain names.
fn real_path(path: &FilePath) -> io::Result<PathBuf> {
    let mut missing = Vec::new();
    let mut existing = path;
    loop {
        match existing.canonicalize() {
            Ok(mut real) => {
                real.extend(missing.iter().rev());
                return Ok(real);
            }
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            Err(e) => {
                // A link to nothing: where writing to it would end up cannot be known.
                if existing.is_symlink() {
                    return Err(e);
                }
                let (Some(parent), Some(Component::Normal(name))) =
                    (existing.parent(), existing.components().next_back())
                else {
                    return Err(e);
                };
                missing.push(name);
                existing = parent;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(files: &Files, path: &FilePath) -> Result<Path> {
        let location = Location::parse("file:///shown/in/messages").unwrap();
        files.resolve(path, &location)
    }

    #[test]
    fn files_are_found_below_their_roots_only() {
        let temp = tempfile::tempdir().unwrap();
        let base = temp.path().canonicalize().unwrap();
        let root = base.join("root");
        std::fs::create_dir_all(root.join("sub")).unwrap();
        std::fs::create_dir_all(base.join("root2")).unwrap();
        std::fs::write(root.join("a.jpg"), "a").unwrap();
        std::fs::write(base.join("secret"), "s").unwrap();
        std::fs::write(base.join("root2/b"), "b").unwrap();
        std::os::unix::fs::symlink(base.join("secret"), root.join("link")).unwrap();
        std::os::unix::fs::symlink("/", root.join("slash")).unwrap();
        std::os::unix::fs::symlink(root.join("a.jpg"), root.join("inner")).unwrap();
        std::os::unix::fs::symlink(root.join("a.jpg"), base.join("inward")).unwrap();
        std::os::unix::fs::symlink(base.join("nothing"), root.join("dangling")).unwrap();
        let files = Files::new(std::slice::from_ref(&root), false).unwrap();
        let denied = ErrorKind::StoreNotAllowed;
        for (path, expected) in [
            (root.join("a.jpg"), None),
            (root.join("new.jpg"), None),
            (root.join("new/folder/new.jpg"), None),
            (root.join("inner"), None),
            (base.join("inward"), None),
            (root.join("sub/../a.jpg"), None),
            (root.join("50%20?#[].jpg"), None),
            (root.clone(), Some(denied)),
            (base.join("secret"), Some(denied)),
            (base.join("new"), Some(denied)),
            (base.join("root2/b"), Some(denied)),
            (root.join("link"), Some(denied)),
            (root.join("../secret"), Some(denied)),
            (root.join("sub/../../secret"), Some(denied)),
            (root.join("slash/etc/passwd"), Some(denied)),
            (root.join("slash/new"), Some(denied)),
            (root.join("dangling"), Some(ErrorKind::NotFound)),
            (root.join("dangling/x"), Some(ErrorKind::NotFound)),
            (root.join("absent/../../secret"), Some(ErrorKind::NotFound)),
            (root.join("a.jpg/x"), Some(ErrorKind::NotFound)),
            (root.join("sub"), Some(ErrorKind::NotFound)),
            (root.join("a.jpg#1"), Some(ErrorKind::InvalidUrl)),
        ] {
            let found = resolve(&files, &path);
            assert_eq!(
                found.as_ref().err().map(Error::kind),
                expected,
                "{}: {found:?}",
                path.display()
            );
        }
        let anywhere = Files::new(&[], true).unwrap();
        let secret = resolve(&anywhere, &base.join("secret")).unwrap();
        assert_eq!(format!("/{secret}"), base.join("secret").to_str().unwrap());
        assert!(resolve(&anywhere, FilePath::new("/dev/zero")).is_err());
    }

    #[test]
    fn a_path_is_known_to_be_outside_without_a_look() {
        let temp = tempfile::tempdir().unwrap();
        let base = temp.path().canonicalize().unwrap();
        let (root, link) = (base.join("root"), base.join("link"));
        std::fs::create_dir(&root).unwrap();
        std::os::unix::fs::symlink(&root, &link).unwrap();
        let files = Files::new(std::slice::from_ref(&link), false).unwrap();
        for (path, expected) in [
            (root.join("a"), true),
            (link.join("a"), true),
            (link.join("b/c"), true),
            (base.join("a"), false),
            (base.join("root2/a"), false),
            (link.join("../a"), false),
        ] {
            assert_eq!(files.names(&path), expected, "{}", path.display());
        }
        assert!(Files::new(&[], true).unwrap().names(&base));
    }

    #[test]
    fn roots_must_exist() {
        let error = Files::new(&["/no/such/folder".into()], false).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StoreNotAllowed);
        assert!(error.to_string().contains("/no/such/folder"), "{error}");
    }
}
