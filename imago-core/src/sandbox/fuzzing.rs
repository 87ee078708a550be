//! What parent and child read of each other, for the fuzz targets.

use std::time::Duration;

use bytes::Bytes;

use super::frame::{self, Frame};
use super::message::{self, Answer, Failure, Question, Ready, Setup, Work};
use crate::engine::{Identity, Stop};
use crate::error::{Error, ErrorKind};

/// Bytes as a mailbox holds them, with the frame before them that says how much of them is the body.
///
/// # Panics
///
/// Panics if an answer that is believed is more than what is there.
pub fn read(bytes: &[u8]) {
    let Some((head, mailbox)) = bytes.split_first_chunk::<{ frame::LENGTH }>() else {
        return;
    };
    let Ok(frame) = Frame::parse(head) else {
        return;
    };
    assert_eq!(
        Frame::parse(&frame.to_bytes()),
        Ok(frame),
        "a frame is written as it was read"
    );
    // The mailbox's own length is what counts, as for a worker.
    let body = usize::try_from(frame.body).expect("a body's length is bounded");
    if frame.total != mailbox.len() as u64 || body > mailbox.len() {
        return;
    }
    let (body, following) = mailbox.split_at(body);
    read_answer(body, following);
    read_work(body, following);
}

/// As the parent does.
fn read_answer(body: &[u8], following: &[u8]) {
    if let Ok(answer) = message::decode::<Answer>(body) {
        let mut left = Bytes::copy_from_slice(following);
        let converted =
            answer.into_converted(left.len() as u64, |length| message::take(&mut left, length));
        if let Ok(converted) = converted {
            let files = converted.files.iter().map(|file| file.bytes.len());
            assert_eq!(
                files.sum::<usize>(),
                following.len(),
                "all files are what followed"
            );
            assert!(left.is_empty(), "nothing is left");
        }
    }
    if let Ok(failure) = message::decode::<Failure>(body) {
        let error = Error::from(failure);
        assert!(error.to_string().len() <= 4 << 20, "an error is a sentence");
    }
    drop(message::decode::<Ready>(body));
    drop(message::decode::<Identity>(body).and_then(message::believable));
}

/// As the child does.
fn read_work(body: &[u8], following: &[u8]) {
    let mut bytes = Bytes::copy_from_slice(following);
    if let Ok(question) = message::decode::<Question>(body) {
        drop(question.input.with(&mut bytes));
    }
    if let Ok(work) = message::decode::<Work>(body) {
        let stop = Stop::after(Duration::from_secs(1));
        let run = |_: &crate::engine::Conversion<'_>| {
            Err::<(), _>(Error::new(ErrorKind::Canceled, "it is enough"))
        };
        drop(work.run(Bytes::copy_from_slice(following), None, &stop, run));
    }
    drop(message::decode::<Setup>(body));
}

/// Messages such as parent and child write, for the fuzzer to begin with.
pub fn seeds() -> Vec<Vec<u8>> {
    let seed = |kind, body: Vec<u8>, following: &[u8]| {
        let total = (body.len() + following.len()) as u64;
        let length = u32::try_from(body.len()).expect("a seed is short");
        let frame = Frame {
            kind,
            body: length,
            total,
        };
        [&frame.to_bytes()[..], &body, following].concat()
    };
    let encoded = |answer: &crate::engine::Converted| {
        message::encode(&Answer::of(answer)).expect("an answer can be written")
    };
    let file = |bytes: &'static [u8]| crate::engine::File {
        bytes: Bytes::from_static(bytes),
        scene: Some(1),
    };
    let converted = crate::engine::Converted {
        files: vec![file(b"one"), file(b"another")],
        width: 40,
        height: 30,
        frames: 2,
        output: "a warning".to_owned(),
        engine: crate::engine::Engine::Magick,
    };
    let failure = Failure::of(
        &Error::new(ErrorKind::BadImage, "it is damaged")
            .with_source(Error::new(ErrorKind::Internal, "why")),
    );
    let ready = Ready {
        landlock: 3,
        seccomp: true,
    };
    vec![
        seed(frame::Kind::Converted, encoded(&converted), b"oneanother"),
        seed(
            frame::Kind::Failed,
            message::encode(&failure).expect("an error can be written"),
            b"",
        ),
        seed(
            frame::Kind::Ready,
            message::encode(&ready).expect("a word can be written"),
            b"",
        ),
    ]
}
