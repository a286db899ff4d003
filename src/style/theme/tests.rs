use std::collections::BTreeSet;

use super::*;
use crate::document::{Node, Parsed, parse_toml};
use crate::model::SourceText;
use crate::style::Color;

fn source(name: &str, text: &str) -> SourceText {
    SourceText { name: format!("{name}.toml"), text: text.to_owned() }
}

fn themes(files: &[(&str, &str)]) -> Themes {
    let mut themes = Themes::default();
    for (name, text) in files {
        themes.add(*name, source(name, text));
    }
    themes
}

fn messages<T>(parsed: &Parsed<T>) -> Vec<String> {
    parsed.problems.iter().map(ToString::to_string).collect()
}

fn examine(themes: &Themes, name: &str) -> Parsed<Theme> {
    themes.examine(name, &themes.source(name).expect(name))
}

const LOUD: [Scope; 4] = [Scope::Good, Scope::Warn, Scope::Bad, Scope::Unknown];

#[test]
fn shipped_themes_name_every_scope_and_nothing_is_said_against_them() {
    let themes = Themes::default();
    for (name, text) in SHIPPED_THEMES {
        let source = source(name, text);
        let parsed = themes.judge(name, &source);
        assert_eq!(messages(&parsed), Vec::<String>::new(), "{name}");
        let theme = parsed.value.expect("a theme");
        assert_eq!((theme.name(), Theme::named(name).as_ref()), (*name, Some(&theme)));
        let root = parse_toml(&source).expect("TOML");
        assert!(root.get("extends").is_none(), "{name} stands on a file that a user may replace");
        let written: Vec<&str> =
            root.get("scopes").map_or(&[][..], Node::entries).iter().map(|entry| entry.key.as_str()).collect();
        assert_eq!(written, Scope::ALL.iter().map(|scope| scope.name()).collect::<Vec<_>>(), "{name}");
    }
    assert_eq!(Theme::named("drak"), None);
}

#[test]
fn the_file_dark_is_the_default() {
    assert_eq!(Theme::named("dark"), Some(Theme::default()));
}

#[test]
fn what_matters_is_told_apart_at_every_depth_of_every_shipped_theme() {
    for (name, _) in SHIPPED_THEMES {
        let theme = Theme::named(name).expect(name);
        for depth in [Depth::Sixteen, Depth::TwoFiftySix, Depth::True] {
            let at = theme.at(depth);
            let inks: BTreeSet<String> = LOUD.iter().map(|scope| format!("{:?}", at.ink(*scope))).collect();
            assert_eq!(inks.len(), LOUD.len(), "{name} {depth:?}: {inks:#?}");
            if *name != "mono" {
                let colours: BTreeSet<String> = LOUD.iter().map(|scope| format!("{:?}", at.ink(*scope).fg)).collect();
                assert_eq!(colours.len(), LOUD.len(), "{name} {depth:?}: {colours:?}");
            }
        }
        // Without colours: what must be seen stands out from ordinary text, and the choice from everything.
        let mono = theme.at(Depth::Mono);
        assert!(
            Scope::ALL.iter().all(|scope| mono.ink(*scope).fg.is_none() && mono.ink(*scope).bg.is_none()),
            "{name}"
        );
        assert_eq!(mono.ink(Scope::Plain), Ink::default(), "{name}");
        for scope in [Scope::Bad, Scope::Unknown, Scope::Key, Scope::Prompt, Scope::BorderFocus, Scope::Late] {
            assert_ne!(mono.ink(scope), Ink::default(), "{name}: {scope:?}");
        }
        for scope in [Scope::Selected, Scope::Badge, Scope::Match, Scope::Danger, Scope::Unknown] {
            assert!(mono.ink(scope).reverse, "{name}: {scope:?}");
        }
    }
}

#[test]
fn the_theme_for_the_colour_blind_keeps_its_promise() {
    let theme = Theme::named("colour-blind").expect("it is shipped");
    assert!(theme.colour_blind);
    let rgb = |scope| theme.ink(scope).fg.and_then(Color::known_rgb).expect("a known colour");
    for (place, one) in LOUD.iter().enumerate() {
        for other in &LOUD[place + 1..] {
            for vision in crate::style::Vision::ALL {
                let distance = vision.distance(rgb(*one), rgb(*other));
                assert!(distance >= judge::APART, "{one:?} {other:?} {vision:?}: {distance}");
            }
        }
    }
    // The check bites: the same promise made by red and green.
    let file = "name = \"x\"\ntitle = \"x\"\nextends = \"colour-blind\"\n[scopes]\n\
                good = { fg = \"#5a9e3a\" }\nbad = { fg = \"#c8743a\" }\nwarn = { fg = \"yellow\" }\n";
    let found = messages(&themes(&[]).judge("x", &source("x", file)));
    assert!(found.iter().any(|text| text.contains("`good` and `bad` are too alike with deuteranopia")), "{found:#?}");
    assert!(found.iter().any(|text| text.contains("nobody knows what colour `warn` has")), "{found:#?}");
}

#[test]
fn letters_that_are_hard_to_read_are_named_with_their_figure() {
    let file = "name = \"x\"\ntitle = \"x\"\n[scopes]\nplain = { fg = \"#ffffff\", bg = \"#000000\" }\n\
                muted = { fg = \"#404040\" }\nborder = { fg = \"#707070\" }\ngood = { fg = \"green\" }\n";
    let parsed = themes(&[]).judge("x", &source("x", file));
    let found: Vec<&str> = parsed.problems.iter().map(|problem| problem.path.as_str()).collect();
    assert_eq!(found, ["scopes.muted"], "{:#?}", messages(&parsed));
    assert!(parsed.problems[0].message.contains("its contrast is 2.0, below 4.5"), "{}", parsed.problems[0].message);
    assert!(parsed.problems[0].span.is_some() && !parsed.is_broken());
    let theme = parsed.value.expect("a theme");
    assert_eq!(theme.contrast(Scope::Good), None);
    assert_eq!(theme.contrast(Scope::Plain).map(f64::round), Some(21.0));
}

#[test]
fn a_theme_stands_on_another_and_a_replacement_on_what_it_replaces() {
    let themes = themes(&[
        ("mine", "name = \"mine\"\ntitle = \"Mine\"\nextends = \"light\"\n[scopes]\ngood = { fg = 28 }\n"),
        ("light", "name = \"light\"\ntitle = \"Light\"\nextends = \"light\"\n[scopes]\nbad = { fg = \"red\" }\n"),
    ]);
    let theme = examine(&themes, "mine").into_result().expect("valid").0;
    let light = Theme::named("light").expect("it is shipped");
    assert_eq!(theme.ink(Scope::Good), Ink { fg: Some(Color::Index(28)), ..Ink::default() });
    assert_eq!(theme.ink(Scope::Bad), Ink { fg: Some(Color::Named(Named::Red)), ..Ink::default() });
    assert_eq!(theme.ink(Scope::Warn), light.ink(Scope::Warn));
    assert_eq!(themes.names(), ["dark", "light", "high-contrast", "colour-blind", "solarized", "mono", "mine"]);
    assert!(themes.is_shipped("dark") && !themes.is_shipped("light"));
}

/// A file that extends, with this name of its own and nothing else.
fn upon(own: &str, base: &str) -> String {
    format!("name = \"{own}\"\ntitle = \"x\"\nextends = \"{base}\"\n")
}

#[test]
fn a_file_of_a_shipped_name_that_extends_it_stands_on_the_shipped_one_whatever_it_calls_itself() {
    let bad = "[scopes]\nbad = { fg = \"blue\" }\n";
    for own in ["dark", "my-dark"] {
        let themes = themes(&[("dark", &(upon(own, "dark") + bad)), ("mine", &upon("mine", "dark"))]);
        for name in ["dark", "mine"] {
            let theme = examine(&themes, name).into_result().expect("valid").0;
            assert_eq!(theme.name(), name, "{own}: it is chosen by the name of its file");
            assert_eq!(theme.ink(Scope::Bad), Ink { fg: Some(Color::Named(Named::Blue)), ..Ink::default() }, "{own}");
            assert_eq!(theme.ink(Scope::Warn), Theme::default().ink(Scope::Warn), "{own}");
        }
    }
}

#[test]
fn themes_that_stand_on_each_other_or_on_nothing_are_refused() {
    let files = [
        ("a", upon("a", "b")),
        ("b", upon("b", "a")),
        ("own", upon("own", "own")),
        ("other", upon("dark", "other")),
        ("lost", upon("lost", "solarised")),
        ("dark", upon("my-dark", "light")),
        ("light", upon("my-light", "mine")),
        ("mine", upon("b", "dark")),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let themes = themes(&files);
    for (name, expected) in [
        ("a", "`b` cannot be used: themes that extend each other have no end: a -> b -> a"),
        ("own", "the theme extends itself, and there is no shipped theme of its name"),
        ("other", "the theme extends itself, and there is no shipped theme of its name"),
        ("lost", "there is no theme `solarised`; did you mean `solarized`?"),
        ("dark", "themes that extend each other have no end: dark -> light -> mine -> dark"),
        ("mine", "themes that extend each other have no end: mine -> dark -> light -> mine"),
    ] {
        let parsed = examine(&themes, name);
        let found = messages(&parsed);
        assert!(parsed.is_broken() && found.len() == 1 && found[0].contains(expected), "{name}: {found:#?}");
        assert!(parsed.problems[0].span.is_some(), "{name}");
    }
}

#[test]
fn themes_stand_on_each_other_so_deep_and_no_deeper() {
    let files: Vec<(String, String)> =
        (0..40).map(|number| (format!("t{number}"), upon("t", &format!("t{}", number + 1)))).collect();
    let mut files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    files.push(("t40", "name = \"t40\"\ntitle = \"x\"\n"));
    let themes = themes(&files);
    assert!(!examine(&themes, "t25").is_broken());
    let found = messages(&examine(&themes, "t24"));
    assert!(found[0].contains("more than 16 themes extend each other: t24 -> t25"), "{found:#?}");
    assert!(examine(&themes, "t0").is_broken());
}

#[test]
fn a_broken_theme_says_all_that_is_wrong_at_once() {
    let text = "name = \"x y\"\ntitel = \"x\"\n[scopes]\ngod = { fg = \"green\" }\nwarn = { fg = \"yelow\", blink = true }\n\
                bad = { fg = 300 }\nunknown = \"red\"\n";
    let parsed = themes(&[]).examine("x", &source("x", text));
    let found = messages(&parsed);
    assert!(parsed.is_broken());
    assert!(parsed.problems.iter().all(|problem| problem.span.is_some()), "{found:#?}");
    for expected in [
        "`x y` is not a valid name",
        "unknown key `titel`; did you mean `title`?",
        "unknown key `god`; did you mean `good`?",
        "`yelow` is not a colour; did you mean \"yellow\"?",
        "unknown key `blink`",
        "must be between 0 and 255",
        "must be a table, not text",
    ] {
        assert!(found.iter().any(|text| text.contains(expected)), "{expected}:\n{found:#?}");
    }
}
