//! What can only be said when the whole history was taken.

use std::collections::BTreeMap;

use super::{
    Kind, Verdict,
    judge::{Consumer, Judge},
    sent::{Answer, CAUSES, Sent},
};

impl Judge {
    /// The judgement of all lines.
    pub(super) fn finish(mut self) -> Verdict {
        self.whole();
        let sent = std::mem::take(&mut self.sent);
        self.count(&sent);
        if !self.ended {
            // What was not looked at is not lost.
            return self.verdict;
        }
        for message in &sent {
            self.message(message);
        }
        let consumers = std::mem::take(&mut self.consumers);
        for (number, consumer) in &consumers {
            let at = format!("consumer {}", self.consumer_names.text(*number));
            self.in_order(&sent, consumer.seen.iter(), &at);
            self.seen_all(&sent, *number, consumer);
        }
        let conversations = std::mem::take(&mut self.conversations);
        for ((node, _), conversation) in &conversations {
            let at = format!("the history of {}", self.nodes.text(*node));
            self.in_order(&sent, conversation.rows.iter().rev(), &at);
        }
        self.verdict
    }

    fn whole(&mut self) {
        if !self.ended {
            let said = "the file has no `end` line: the run was cut off".to_owned();
            self.broken(Kind::Form, said);
        }
        if self.sent.is_empty() {
            self.broken(Kind::Form, "nothing was sent".to_owned());
        }
        let mut missing = Vec::new();
        for sent in self.sent.iter().filter(|sent| sent.is_ok()) {
            let ends = [
                (sent.to, self.original(sent.from)),
                (sent.from, self.original(sent.to)),
            ];
            for pair in ends {
                let read = self.conversations.get(&pair).is_some_and(|c| c.whole);
                if !read && !missing.contains(&pair) {
                    missing.push(pair);
                }
            }
        }
        for (node, peer) in missing {
            let (node, peer) = (self.nodes.text(node), self.nodes.text(peer));
            let said = format!("the history of {node} with {peer} was not read to its end");
            self.broken(Kind::Form, said);
        }
    }

    fn count(&mut self, sent: &[Sent]) {
        let totals = &mut self.verdict.totals;
        for message in sent {
            totals.sent = totals.sent.saturating_add(1);
            let counter = match &message.answer {
                Answer::Unknown => &mut totals.unknown,
                Answer::Failed(_) => &mut totals.failed,
                Answer::Accepted | Answer::Stored => &mut totals.ok,
            };
            *counter = counter.saturating_add(1);
        }
    }

    fn message(&mut self, sent: &Sent) {
        let id = &sent.id;
        let recipient = self.nodes.text(sent.to).to_owned();
        if let Some(times) = sent.rows.values().find(|times| **times > 1) {
            self.broken(
                Kind::Duplicated,
                format!("{id} is {times} times in one history"),
            );
        }
        match &sent.answer {
            Answer::Failed(cause) if !CAUSES.contains(&cause.as_str()) => {
                let said = format!("{id} failed with {cause}, which no fault of the run explains");
                self.broken(Kind::State, said);
            }
            Answer::Stored if !sent.arrived() => {
                let said =
                    format!("{id} was acknowledged, but is not in the history of {recipient}");
                self.broken(Kind::Lost, said);
            }
            Answer::Accepted if !sent.arrived() && !sent.ended_failed() => {
                let said = format!("{id} was accepted, but is not in the history of {recipient}");
                self.broken(Kind::Lost, said);
            }
            _ => {}
        }
        if sent.is_ok() {
            self.ended_well(sent);
        }
    }

    fn ended_well(&mut self, sent: &Sent) {
        let id = &sent.id;
        let said = match &sent.ended {
            None => format!("{id} was accepted, but is not in its sender's own history"),
            Some((state, _)) if state == "stored" || state == "read" => return,
            Some((state, Some(cause))) if state == "failed" => {
                if CAUSES.contains(&cause.as_str()) && sent.answer == Answer::Accepted {
                    return;
                }
                format!("{id} ended as failed with {cause} after its acknowledgement")
            }
            Some((state, None)) if state == "failed" => format!("{id} failed without a cause"),
            Some((state, _)) => format!("{id} is still {state} at the end"),
        };
        self.broken(Kind::State, said);
    }

    fn in_order<'a>(&mut self, sent: &[Sent], seen: impl Iterator<Item = &'a usize>, at: &str) {
        let mut newest: BTreeMap<usize, &Sent> = BTreeMap::new();
        for message in seen.filter_map(|number| sent.get(*number)) {
            if !message.is_ok() || message.late {
                continue;
            }
            let before = newest.get(&message.lane);
            if let Some(before) = before.filter(|before| before.place > message.place) {
                let said = format!(
                    "{at}: {} comes after {}, which was sent later",
                    message.id, before.id
                );
                self.broken(Kind::Order, said);
            } else {
                newest.insert(message.lane, message);
            }
        }
    }

    fn seen_all(&mut self, sent: &[Sent], number: usize, consumer: &Consumer) {
        let name = self.consumer_names.text(number).to_owned();
        for message in sent {
            let id = &message.id;
            match message.seen.get(&number).copied().unwrap_or(0) {
                0 if message.to == consumer.node && message.arrived() && !consumer.excused => {
                    let said = format!("{id} is in the history, but consumer {name} never saw it");
                    self.broken(Kind::Lost, said);
                }
                0 | 1 => {}
                times => {
                    let said = format!("{id} was seen {times} times by consumer {name}");
                    self.broken(Kind::Duplicated, said);
                }
            }
        }
    }
}
