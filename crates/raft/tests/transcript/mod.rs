//! Plays a script and writes its transcript.

mod director;
mod parse;

pub(crate) use director::Director;

/// Plays `script`; returns it with the transcript that came of it.
pub(crate) fn play(script: &str) -> Result<String, String> {
    let mut director = Director::default();
    let mut played = String::new();
    for (number, line) in script.lines().enumerate() {
        if line.starts_with("  ") {
            continue; // what happened the last time
        }
        played.push_str(line);
        played.push('\n');
        let Some(command) = line.strip_prefix("> ") else {
            if line.is_empty() || line == "#" || line.starts_with("# ") {
                continue;
            }
            return Err(format!("line {}: neither prose nor command", number + 1));
        };
        let happened = director
            .direct(command)
            .map_err(|failure| format!("line {}, `{command}`: {failure}", number + 1))?;
        for line in happened {
            played.push_str("  ");
            played.push_str(&line);
            played.push('\n');
        }
    }
    Ok(played)
}
