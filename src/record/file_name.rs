//! Names of the files of a take.

/// Name of the file of a stem or of all channels: `01 Kick.wav`, or `01 Kick part 2.wav` for a later part. Parts count from 1.
pub fn file_name(number: usize, name: &str, part: usize) -> String {
    match part {
        1 => format!("{number:02} {name}.wav"),
        _ => format!("{number:02} {name} part {part}.wav"),
    }
}

/// Splits a name that [`file_name`] made into number, name and part; `None` for another file.
pub fn parse_file_name(file: &str) -> Option<(usize, &str, usize)> {
    let (number, name) = file.strip_suffix(".wav")?.split_once(' ')?;
    let number = number.parse().ok()?;
    if let Some((name, part)) = name.rsplit_once(" part ")
        && let Ok(part @ 2..) = part.parse()
    {
        return Some((number, name, part));
    }
    Some((number, name, 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_parsed_into_what_they_were_made_of() {
        for (number, name, part) in [(1, "Kick", 1), (12, "A part of it", 1), (128, "Über 3 part", 12)] {
            assert_eq!(parse_file_name(&file_name(number, name, part)), Some((number, name, part)));
        }
        assert_eq!(parse_file_name("take.json"), None);
        assert_eq!(parse_file_name("Kick.wav"), None);
    }
}
