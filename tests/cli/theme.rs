//! `theme`, and the configuration that chooses one.

use serde_json::Value;

use crate::home::Home;

const MINE: &str = "name = \"mine\"\ntitle = \"My own\"\nextends = \"light\"\n[scopes]\ngood = { fg = 28 }\n";

#[test]
fn themes_are_listed_with_where_they_come_from() {
    let home = Home::new();
    home.write(".config/changeover/themes/mine.toml", MINE);
    home.write(".config/changeover/themes/light.toml", "name = \"light\"\ntitle = 5\n");
    home.write(".config/changeover/config.toml", "[screen]\ntheme = \"mono\"\n");
    let ran = home.run(&["theme", "list"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    for line in [
        "  dark           shipped  The terminal's own colours",
        "  light          yours    cannot be used: see `changeover theme check light`",
        "* mono           shipped  No colours at all",
        // It stands on the one that cannot be used.
        "  mine           yours    cannot be used",
    ] {
        assert!(ran.out.contains(line), "{line}:\n{}", ran.out);
    }
    let listed: Value = serde_json::from_str(&home.run(&["theme", "list", "--json"]).out).expect("JSON");
    let of = |name: &str| listed.as_array().expect("a list").iter().find(|theme| theme["name"] == name).expect(name);
    assert_eq!(listed.as_array().map(Vec::len), Some(7));
    assert!(of("mono")["chosen"] == true && of("mono")["shipped"] == true && of("mono")["file"].is_null());
    assert!(of("light")["usable"] == false && of("light")["shipped"] == false && of("light")["title"].is_null());
}

#[test]
fn a_theme_is_shown_in_the_colours_that_are_asked_for() {
    let home = Home::new();
    home.write(".config/changeover/themes/mine.toml", MINE);
    let bare = home.run(&["theme", "show", "mine"]);
    assert_eq!((bare.code, bare.err.as_str()), (0, ""));
    assert!(bare.out.is_ascii() && !bare.out.contains('\u{1b}') && bare.out.contains("[ok] OK"), "{}", bare.out);
    assert_eq!(bare.out.lines().filter(|line| line.ends_with('.') && line.starts_with("  ")).count(), 29);
    let shown = |environment: &[(&str, &str)]| {
        let environment = [environment, &[("LANG", "C.UTF-8")]].concat();
        home.run_with(&["theme", "show", "mine", "--color", "always"], &environment).out
    };
    for (environment, good) in [
        (&[("COLORTERM", "truecolor")][..], "\u{1b}[38;5;28;48;2;255;255;255m good"),
        (&[("TERM", "xterm-256color")], "\u{1b}[38;5;28;48;5;231m good"),
        (&[("TERM", "xterm")], "\u{1b}[32;107m good"),
    ] {
        let text = shown(environment);
        assert!(text.contains(good) && text.contains("✓ OK"), "{environment:?}: {}", text.escape_debug());
    }
    let nobody = home.run(&["theme", "show", "drak"]);
    assert!(nobody.code == 2 && nobody.err.contains("did you mean `dark`?"), "{}", nobody.err);
}

#[test]
fn what_is_wrong_with_a_theme_is_said_with_its_place() {
    let home = Home::new();
    let all = home.run(&["theme", "check"]);
    assert_eq!((all.code, all.out.as_str()), (0, "6 themes: no problems\n"), "{}", all.err);
    home.write("bad.toml", "name = \"bad\"\ntitle = \"Bad\"\n[scopes]\ngood = { fg = \"gren\" }\nhnit = {}\n");
    let bad = home.run(&["theme", "check", "bad.toml"]);
    assert_eq!(bad.code, 2);
    for part in ["bad.toml:4:15", "did you mean \"green\"?", "did you mean `hint`?", "1 theme: 2 errors, 0 warnings"] {
        assert!(bad.out.contains(part), "{part}:\n{}", bad.out);
    }
    home.write("grey.toml", "name = \"gray\"\ntitle = \"x\"\n[scopes]\nkey = { fg = 240, bg = 16 }\n");
    let grey = home.run(&["theme", "check", "grey.toml"]);
    assert_eq!(grey.code, 0, "{}", grey.out);
    for part in ["`key` is hard to read: its contrast is 3.0", "but it is chosen as `grey`", "0 errors, 2 warnings"] {
        assert!(grey.out.contains(part), "{part}:\n{}", grey.out);
    }
}

#[test]
fn a_configuration_that_cannot_be_used_is_said_with_its_place() {
    let home = Home::new();
    home.write(".config/changeover/config.toml", "[screen]\ntheme = \"drak\"\n");
    let ran = home.run(&["theme", "show"]);
    assert_eq!(ran.code, 2);
    for part in ["config.toml:2:9", "there is no theme `drak`", "did you mean \"dark\"?"] {
        assert!(ran.err.contains(part), "{part}:\n{}", ran.err);
    }
    // A theme that is named needs no configuration.
    assert_eq!(home.run(&["theme", "show", "dark"]).code, 0);
}
