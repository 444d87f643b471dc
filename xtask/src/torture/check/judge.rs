//! The judge takes a history line by line; what can only be said at the end is in `ruling`.

use std::collections::BTreeMap;

use super::{
    Kind, Verdict,
    line::{Line, Names},
    sent::{Answer, Sent, rank},
};

/// How long a daemon may take to end after SIGTERM, in milliseconds.
const TERM_LIMIT_MS: u64 = 5_000;
/// The exit code of a daemon that finds its directory taken.
const LOCKED: i64 = 8;

/// One that reads events at a node, resuming by cursor.
pub(super) struct Consumer {
    pub(super) node: usize,
    /// The number of the last event dealt with.
    last: u64,
    /// Messages from others in the order they were seen.
    pub(super) seen: Vec<usize>,
    /// Whether a gap said that events are missing.
    pub(super) excused: bool,
    /// How many events of each type it saw, of those no message or state is told by.
    types: BTreeMap<String, u64>,
}

/// The pages of one conversation as they were read: newest first.
#[derive(Default)]
pub(super) struct Conversation {
    pub(super) rows: Vec<usize>,
    pub(super) whole: bool,
}

/// See the module.
#[derive(Default)]
pub(super) struct Judge {
    pub(super) verdict: Verdict,
    pub(super) nodes: Names,
    lanes: Names,
    pub(super) consumer_names: Names,
    ids: BTreeMap<String, usize>,
    pub(super) sent: Vec<Sent>,
    pub(super) consumers: BTreeMap<usize, Consumer>,
    /// By the node that was asked, and the peer.
    pub(super) conversations: BTreeMap<(usize, usize), Conversation>,
    /// Which node each copy is a copy of.
    copies: BTreeMap<usize, usize>,
    ready_limit_ms: Option<u64>,
    pub(super) ended: bool,
}

impl Judge {
    /// Takes the next line.
    pub(super) fn line(&mut self, number: usize, text: &str) {
        let taken = Line::parse(text).and_then(|line| self.take(&line));
        if let Err(what) = taken {
            self.verdict
                .add(Kind::Form, format!("line {number}: {what}"));
        }
    }

    fn take(&mut self, line: &Line) -> Result<(), String> {
        match line.text("op")? {
            "start" => self.ready_limit_ms = Some(line.number("ready_limit_ms")?),
            "invoke" => self.invoke(line)?,
            "ok" => self.ok(line)?,
            "fail" => self.answer(line, Answer::Failed(line.text("cause")?.to_owned()))?,
            "info" => self.answer(line, Answer::Unknown)?,
            "open" => self.open(line)?,
            "seen" => self.seen(line)?,
            "state" => self.state(line)?,
            "gap" => self.gap(line)?,
            "event" => self.event(line)?,
            "copy" => {
                let copy = self.nodes.number(line.text("node")?);
                let of = self.nodes.number(line.text("of")?);
                self.copies.insert(copy, of);
            }
            "expect" => self.expect(line)?,
            "row" => self.row(line)?,
            "rows_end" => {
                let pair = self.pair(line)?;
                self.conversations.entry(pair).or_default().whole = true;
            }
            "kill" => self.verdict.totals.kills = self.verdict.totals.kills.saturating_add(1),
            "ready" => self.ready(line)?,
            "not_ready" => {
                let said = format!(
                    "{} did not start: {}",
                    line.text("node")?,
                    line.text("what")?
                );
                self.broken(Kind::Start, said);
            }
            "term" => self.term(line)?,
            "second" => {
                let (node, code) = (line.text("node")?, line.signed("code")?);
                if code != LOCKED {
                    let said = format!(
                        "a second daemon on the directory of {node} ended with {code}, not {LOCKED}"
                    );
                    self.broken(Kind::Start, said);
                }
            }
            "broken" => {
                let said = line.text("what")?.to_owned();
                self.broken(Kind::State, said);
            }
            "end" => self.ended = true,
            // What helps to read a history and is not judged.
            "retry" | "spawn" | "fault" | "heal" | "quiet" | "note" => {}
            other => return Err(format!("unknown operation `{other}`")),
        }
        Ok(())
    }

    pub(super) fn broken(&mut self, kind: Kind, sentence: String) {
        self.verdict.add(kind, sentence);
    }

    fn invoke(&mut self, line: &Line) -> Result<(), String> {
        let id = line.text("id")?;
        let from = self.nodes.number(line.text("from")?);
        let to = self.nodes.number(line.text("to")?);
        let lane = self.lanes.number(line.text("lane")?);
        let sent = Sent::new(id, from, to, lane, line.number("n")?);
        if self.ids.insert(id.to_owned(), self.sent.len()).is_some() {
            return Err(format!("{id} was sent before"));
        }
        self.sent.push(sent);
        Ok(())
    }

    /// Whether these are one identity: the same node, or copies of its directory.
    fn same(&self, one: usize, other: usize) -> bool {
        self.original(one) == self.original(other)
    }

    /// The node this one is a copy of, or itself.
    pub(super) fn original(&self, node: usize) -> usize {
        self.copies.get(&node).copied().unwrap_or(node)
    }

    fn find(&mut self, id: &str) -> Option<(usize, &mut Sent)> {
        let number = *self.ids.get(id)?;
        self.sent.get_mut(number).map(|sent| (number, sent))
    }

    fn answer(&mut self, line: &Line, answer: Answer) -> Result<(), String> {
        let id = line.text("id")?;
        let Some((_, sent)) = self.find(id) else {
            return Err(format!("{id} was answered, but not sent"));
        };
        if sent.answer != Answer::Unknown {
            return Err(format!("{id} was answered before"));
        }
        sent.answer = answer;
        Ok(())
    }

    fn ok(&mut self, line: &Line) -> Result<(), String> {
        let state = line.text("state")?;
        let answer = match rank(state) {
            Some(1 | 2) => Answer::Accepted,
            Some(3 | 4) => Answer::Stored,
            _ => {
                return Err(format!(
                    "`{state}` is not the state of a send that went well"
                ));
            }
        };
        self.answer(line, answer)
    }

    fn open(&mut self, line: &Line) -> Result<(), String> {
        let name = line.text("consumer")?;
        let after = line.cursor("after")?;
        let node = self.nodes.number(line.text("where")?);
        let number = self.consumer_names.number(name);
        self.verdict.totals.streams = self.verdict.totals.streams.saturating_add(1);
        let consumer = self.consumers.entry(number).or_insert(Consumer {
            node,
            last: 0,
            seen: Vec::new(),
            excused: false,
            types: BTreeMap::new(),
        });
        if consumer.last != after {
            let said = format!(
                "consumer {name} resumed behind event {after}, but had dealt with {}",
                consumer.last
            );
            consumer.last = after;
            self.broken(Kind::Stream, said);
        }
        Ok(())
    }

    fn consumer(&mut self, line: &Line) -> Result<(usize, &mut Consumer), String> {
        let name = line.text("consumer")?;
        let missing = || format!("consumer {name} has no stream open");
        let number = self.consumer_names.known(name).ok_or_else(missing)?;
        let consumer = self.consumers.get_mut(&number).ok_or_else(missing)?;
        Ok((number, consumer))
    }

    /// Moves a consumer to the event of this line: it has to be the next one.
    fn advance(&mut self, line: &Line) -> Result<(), String> {
        let event = line.cursor("cursor")?;
        let (_, consumer) = self.consumer(line)?;
        let expected = consumer.last.saturating_add(1);
        consumer.last = event;
        if event == expected {
            return Ok(());
        }
        let name = line.text("consumer")?;
        let what = line.optional("id").map_or_else(
            || format!("event {event}"),
            |id| format!("event {event} with id {id}"),
        );
        let (kind, said) = if event > expected {
            (Kind::Stream, "was skipped without a gap")
        } else {
            (Kind::Duplicated, "was the next one")
        };
        let said = format!("consumer {name} was given {what}, but {expected} {said}");
        self.broken(kind, said);
        Ok(())
    }

    fn seen(&mut self, line: &Line) -> Result<(), String> {
        self.advance(line)?;
        let id = line.text("id")?;
        let inward = line.text("dir")? == "in";
        let from = self.nodes.number(line.text("from")?);
        let (name, consumer) = self.consumer(line)?;
        let node = consumer.node;
        let Some((number, sent)) = self.find(id) else {
            self.broken(
                Kind::Duplicated,
                format!("{id} was seen, but nobody sent it"),
            );
            return Ok(());
        };
        let meant = if inward { sent.to } else { sent.from };
        let (author, meant) = (sent.from, meant);
        if !self.same(author, from) || !self.same(meant, node) {
            self.broken(
                Kind::State,
                format!("{id} was seen where it does not belong"),
            );
            return Ok(());
        }
        if !inward {
            return Ok(());
        }
        let Some((_, sent)) = self.find(id) else {
            return Ok(());
        };
        sent.late |= line.list("marks").any(|mark| mark == "late");
        let times = sent.seen.entry(name).or_default();
        *times = times.saturating_add(1);
        self.verdict.totals.seen = self.verdict.totals.seen.saturating_add(1);
        let (_, consumer) = self.consumer(line)?;
        consumer.seen.push(number);
        Ok(())
    }

    fn state(&mut self, line: &Line) -> Result<(), String> {
        self.advance(line)?;
        let word = line.text("state")?;
        let Some(to) = rank(word) else {
            return Err(format!("`{word}` is no state"));
        };
        let (name, _) = self.consumer(line)?;
        for id in line.list("ids") {
            let Some((_, sent)) = self.find(id) else {
                self.broken(Kind::State, format!("{id} has a state, but nobody sent it"));
                continue;
            };
            let before = sent.rank.insert(name, to);
            if before.is_some_and(|before| before > to) {
                self.broken(Kind::State, format!("{id} went back to {word}"));
            }
        }
        Ok(())
    }

    fn event(&mut self, line: &Line) -> Result<(), String> {
        self.advance(line)?;
        let kind = line.text("type")?;
        let (_, consumer) = self.consumer(line)?;
        let times = consumer.types.entry(kind.to_owned()).or_default();
        *times = times.saturating_add(1);
        if kind == "fork" {
            let said = format!("{} saw a forked feed", line.text("where")?);
            self.broken(Kind::State, said);
        }
        Ok(())
    }

    /// What every consumer at a node has to have seen by now.
    fn expect(&mut self, line: &Line) -> Result<(), String> {
        let node = self.nodes.number(line.text("where")?);
        let kind = line.text("type")?;
        let (least, most) = (line.number("least")?, line.number("most")?);
        let mut said = Vec::new();
        for (number, consumer) in self.consumers.iter().filter(|(_, c)| c.node == node) {
            let times = consumer.types.get(kind).copied().unwrap_or(0);
            if !(least..=most).contains(&times) {
                let name = self.consumer_names.text(*number);
                said.push(format!(
                    "consumer {name} saw {times} events of type {kind}, not {least} to {most}"
                ));
            }
        }
        for said in said {
            self.broken(Kind::Stream, said);
        }
        Ok(())
    }

    fn gap(&mut self, line: &Line) -> Result<(), String> {
        let cause = line.text("cause")?;
        match cause {
            "retention" => {
                let resume = line.cursor("resume")?;
                let (_, consumer) = self.consumer(line)?;
                consumer.last = resume;
                consumer.excused = true;
            }
            // An earlier life of the author is late; what it said is marked when it comes.
            "unavailable" => self.advance(line)?,
            // What the one it is a copy of has acknowledged was given away (JRN-3).
            "dropped" if self.is_copy(line)? => self.advance(line)?,
            other => {
                if line.optional("cursor").is_some() {
                    self.advance(line)?;
                }
                let said = format!(
                    "consumer {} was told of a gap that no fault of the run explains: {other}",
                    line.text("consumer")?
                );
                self.broken(Kind::Stream, said);
                return Ok(());
            }
        }
        self.verdict.totals.gaps = self.verdict.totals.gaps.saturating_add(1);
        Ok(())
    }

    fn is_copy(&mut self, line: &Line) -> Result<bool, String> {
        let node = self.nodes.number(line.text("where")?);
        Ok(self.copies.contains_key(&node))
    }

    fn pair(&mut self, line: &Line) -> Result<(usize, usize), String> {
        let node = self.nodes.number(line.text("where")?);
        Ok((node, self.nodes.number(line.text("peer")?)))
    }

    fn row(&mut self, line: &Line) -> Result<(), String> {
        let pair = self.pair(line)?;
        let id = line.text("id")?;
        let from = self.nodes.number(line.text("from")?);
        let inward = line.text("dir")? == "in";
        let at = line.text("where")?;
        let Some((number, sent)) = self.find(id) else {
            self.broken(
                Kind::Duplicated,
                format!("{id} is in the history of {at}, but nobody sent it"),
            );
            return Ok(());
        };
        let times = sent.rows.entry(pair.0).or_default();
        *times = times.saturating_add(1);
        if !inward && sent.from == pair.0 {
            let cause = line.optional("cause").map(ToOwned::to_owned);
            sent.ended = Some((line.text("state")?.to_owned(), cause));
        }
        let ends = (sent.from, sent.to);
        let asked = if inward { (pair.1, pair.0) } else { pair };
        let belongs =
            self.same(ends.0, asked.0) && self.same(ends.1, asked.1) && self.same(ends.0, from);
        if !belongs {
            let said = format!("{id} is in the history of {at}, where it does not belong");
            self.broken(Kind::State, said);
        } else if inward {
            self.conversations
                .entry(pair)
                .or_default()
                .rows
                .push(number);
        }
        Ok(())
    }

    fn ready(&mut self, line: &Line) -> Result<(), String> {
        let took = line.number("ms")?;
        self.verdict.totals.ready_ms.push(took);
        let Some(limit) = self.ready_limit_ms else {
            return Err("no `start` line says how long a start may take".to_owned());
        };
        if took > limit {
            let said = format!(
                "{} was ready after {took} ms, not {limit}",
                line.text("node")?
            );
            self.broken(Kind::Start, said);
        }
        Ok(())
    }

    fn term(&mut self, line: &Line) -> Result<(), String> {
        let (node, code, took) = (line.text("node")?, line.signed("code")?, line.number("ms")?);
        if code != 0 || took > TERM_LIMIT_MS {
            let said = format!("{node} ended with {code}, {took} ms after SIGTERM");
            self.broken(Kind::Start, said);
        }
        Ok(())
    }
}
