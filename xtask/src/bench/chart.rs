//! Bars as SVG: one file, no script, colours for light and dark, and words for those who do not see it.

use std::fmt::Write as _;

/// By this a plot is known as one of ours.
pub(crate) const MARK: &str = "<!-- by cargo xtask bench-report -->";

const WIDTH: f64 = 860.0;
/// Of a character of the labels, about.
const LETTER: f64 = 6.9;
const MOST_LABEL: usize = 48;
/// Room for the figure behind a bar.
const FIGURE: f64 = 130.0;
const BAR: f64 = 16.0;
const STEP: f64 = 26.0;
const HEAD: f64 = 44.0;
const FOOT: f64 = 52.0;

/// How a bar is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// It keeps its target, or has none.
    Good,
    /// It misses its target.
    Missed,
    /// A limit or a peer.
    Beside,
}

impl Tone {
    const fn class(self) -> &'static str {
        match self {
            Tone::Good => "good",
            Tone::Missed => "missed",
            Tone::Beside => "beside",
        }
    }
}

/// One bar.
#[derive(Clone, Debug)]
pub(crate) struct Bar {
    pub(crate) label: String,
    pub(crate) value: f64,
    /// The figure behind it.
    pub(crate) shown: String,
    /// Where its target is marked.
    pub(crate) target: Option<f64>,
    pub(crate) tone: Tone,
}

/// Bars under a title, over an axis.
pub(crate) struct Chart {
    pub(crate) title: String,
    /// What the length of a bar is.
    pub(crate) axis: String,
    pub(crate) bars: Vec<Bar>,
}

impl Chart {
    /// All of it in words.
    pub(crate) fn words(&self) -> String {
        let bars = self.bars.iter().map(|bar| {
            let target = match bar.tone {
                Tone::Missed => " (target missed)",
                _ => "",
            };
            format!("{}: {}{target}", bar.label, bar.shown)
        });
        let bars: Vec<String> = bars.collect();
        format!("{}, {}. {}.", self.title, self.axis, bars.join("; "))
    }

    /// The file.
    pub(crate) fn svg(&self) -> String {
        let longest = self.bars.iter().map(|bar| bar.label.chars().count());
        let letters = longest.max().unwrap_or(0).min(MOST_LABEL);
        let left = (letters as f64).mul_add(LETTER, 20.0);
        let span = WIDTH - left - FIGURE;
        let most = self
            .bars
            .iter()
            .flat_map(|bar| [Some(bar.value), bar.target])
            .flatten()
            .filter(|value| value.is_finite())
            .fold(0.0, f64::max);
        let tick = tick(most);
        let ticks = (most / tick).ceil().max(1.0);
        let x = |value: f64| {
            let value = if value.is_finite() { value } else { 0.0 };
            left + span * (value / (tick * ticks)).clamp(0.0, 1.0)
        };
        let bottom = (self.bars.len() as f64).mul_add(STEP, HEAD);
        let height = bottom + FOOT;
        let mut out = String::new();
        let title = escaped(&self.title);
        // Writing to a string does not fail.
        let _ = write!(
            out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
             width=\"{WIDTH}\" height=\"{height}\" role=\"img\" aria-labelledby=\"title words\">\n{MARK}\n\
             <title id=\"title\">{title}</title>\n<desc id=\"words\">{}</desc>\n{STYLE}\n\
             <rect class=\"paper\" width=\"{WIDTH}\" height=\"{height}\"/>\n\
             <text class=\"head\" x=\"10\" y=\"24\">{title}</text>\n",
            escaped(&self.words()),
        );
        for n in 0..=(ticks as u32) {
            let value = tick * f64::from(n);
            let at = x(value);
            let _ = writeln!(
                out,
                "<line class=\"grid\" x1=\"{at:.1}\" y1=\"{HEAD}\" x2=\"{at:.1}\" y2=\"{bottom}\"/>\
                 <text class=\"small\" text-anchor=\"middle\" x=\"{at:.1}\" y=\"{:.1}\">{}</text>",
                bottom + 16.0,
                plain(value)
            );
        }
        for (n, bar) in self.bars.iter().enumerate() {
            let top = (n as f64).mul_add(STEP, HEAD + 5.0);
            let base = top + 12.5;
            let end = x(bar.value);
            let _ = writeln!(
                out,
                "<g><title>{}: {}</title><text class=\"label\" text-anchor=\"end\" x=\"{:.1}\" y=\"{base:.1}\">{}</text>\
                 <rect class=\"{}\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{BAR}\"/>\
                 <text class=\"label\" x=\"{:.1}\" y=\"{base:.1}\">{}</text></g>",
                escaped(&bar.label),
                escaped(&bar.shown),
                left - 8.0,
                escaped(&cut(&bar.label)),
                bar.tone.class(),
                end - left,
                bar.target.map_or(end, |target| end.max(x(target))) + 6.0,
                escaped(&bar.shown)
            );
            if let Some(target) = bar.target {
                let at = x(target);
                let _ = writeln!(
                    out,
                    "<line class=\"target\" x1=\"{at:.1}\" y1=\"{:.1}\" x2=\"{at:.1}\" y2=\"{:.1}\"/>",
                    top - 3.0,
                    top + BAR + 3.0
                );
            }
        }
        let marked = self.bars.iter().any(|bar| bar.target.is_some());
        let axis = format!(
            "{}{}",
            self.axis,
            if marked {
                "; the mark is the target"
            } else {
                ""
            }
        );
        let _ = write!(
            out,
            "<text class=\"small\" text-anchor=\"middle\" x=\"{:.1}\" y=\"{:.1}\">{}</text>\n</svg>\n",
            left + span / 2.0,
            bottom + 38.0,
            escaped(&axis),
        );
        out
    }
}

/// Text and grid follow the reader's scheme; bars differ in lightness too, not in hue alone.
const STYLE: &str = "<style>
text{font-family:system-ui,sans-serif;fill:#1f2328}
.head{font-size:15px;font-weight:600}.label{font-size:12px}.small{font-size:11px;fill:#59636e}
.paper{fill:#ffffff}.grid{stroke:#d1d9e0;stroke-width:1}.target{stroke:#1f2328;stroke-width:2}
.good{fill:#2f7f93}.missed{fill:#c8501e}.beside{fill:#aab4bf}
@media (prefers-color-scheme:dark){
text{fill:#e6edf3}.small{fill:#9198a1}.paper{fill:#0d1117}.grid{stroke:#3d444d}.target{stroke:#e6edf3}
.good{fill:#4fa9c0}.missed{fill:#f08a52}.beside{fill:#59636e}}
</style>";

/// A round distance of ticks: four to ten of them.
fn tick(most: f64) -> f64 {
    if !(most.is_finite() && most > 0.0) {
        return 1.0;
    }
    let scale = 10_f64.powf((most / 5.0).log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0];
    let fits = |step: &f64| most / (scale * step) <= 6.0;
    scale * steps.into_iter().find(fits).unwrap_or(10.0)
}

/// A round figure as people write it.
fn plain(value: f64) -> String {
    let (value, unit) = match value {
        big if big >= 1e9 => (big / 1e9, " G"),
        big if big >= 1e6 => (big / 1e6, " M"),
        big if big >= 1e4 => (big / 1e3, " k"),
        value => (value, ""),
    };
    let text = format!("{value:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{text}{unit}")
}

fn cut(label: &str) -> String {
    if label.chars().count() <= MOST_LABEL {
        return label.to_owned();
    }
    let kept: String = label.chars().take(MOST_LABEL.saturating_sub(1)).collect();
    kept + "…"
}

/// Text as it may stand in XML.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            letter if letter.is_control() => out.push(' '),
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests;
