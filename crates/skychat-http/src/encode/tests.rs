use super::*;
use proptest::prelude::*;
use skychat_api::{EventKind, Missed, Stopping};

/// A block as a reader of the specification sees it.
#[derive(Debug, Default, PartialEq)]
struct Block {
    id: Option<String>,
    event: String,
    data: String,
}

/// A parser after the HTML standard's "event stream interpretation", written for the test.
fn parse(stream: &str) -> Vec<Block> {
    let (mut blocks, mut block, mut data) = (Vec::new(), Block::default(), Vec::new());
    let normal = stream.replace("\r\n", "\n").replace('\r', "\n");
    for line in normal.split('\n') {
        if line.is_empty() {
            if !data.is_empty() {
                block.data = data.join("\n");
                blocks.push(std::mem::take(&mut block));
            }
            block = Block::default();
            data.clear();
            continue;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value).to_owned();
        match field {
            "id" if !value.contains('\0') => block.id = Some(value),
            "event" => block.event = value,
            "data" => data.push(value),
            _ => {}
        }
    }
    blocks
}

proptest! {
    /// P10: events in, the same events out, whatever the text.
    #[test]
    fn c34_any_data_survives(
        texts in proptest::collection::vec("[a\\r\\n: \u{2028}\u{85}]{0,12}|\\PC{0,8}", 1..5),
    ) {
        let mut out = StreamForm::Sse.preamble().to_vec();
        let id: Cursor = "0a1b2c3d-7".parse().unwrap();
        for text in &texts {
            sse(&mut out, Some(&id), "message", text);
            out.extend_from_slice(StreamForm::Sse.keep_alive());
        }
        let blocks = parse(std::str::from_utf8(&out).unwrap());
        prop_assert_eq!(blocks.len(), texts.len());
        for (block, text) in blocks.iter().zip(&texts) {
            let expected = text.replace("\r\n", "\n").replace('\r', "\n");
            prop_assert_eq!(&block.data, &expected);
            prop_assert_eq!(block.id.as_deref(), Some("0a1b2c3d-7"));
            prop_assert_eq!(&block.event, "message");
        }
    }
}

#[test]
fn event_5_a_notice_has_no_id() {
    let mut out = Vec::new();
    StreamForm::Sse
        .event(&mut out, &Event::new(EventKind::Stopping(Stopping {})))
        .unwrap();
    assert_eq!(
        std::str::from_utf8(&out).unwrap(),
        "event: stopping\ndata: {\"v\":1,\"type\":\"stopping\"}\n\n"
    );
}

#[test]
fn c33_a_line_is_one_document() {
    let mut out = Vec::new();
    for notices in [1, 2] {
        let event = Event::new(EventKind::Missed(Missed { notices }));
        StreamForm::Ndjson.event(&mut out, &event).unwrap();
    }
    let text = String::from_utf8(out).unwrap();
    let events: Vec<Event> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(events.len(), 2);
    assert!(text.ends_with('\n'));
}
