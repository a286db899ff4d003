//! What `init` needs to know: from options, and on a terminal from questions for what they leave open.

use std::path::PathBuf;

use super::super::{CliError, Io};

/// The arguments of `init`.
#[derive(Debug, Clone, clap::Args)]
pub struct InitArgs {
    /// The file to write; `-` prints it
    #[arg(value_name = "FILE", default_value = "estate.toml")]
    pub(super) file: PathBuf,
    /// Replace the file if it exists
    #[arg(long)]
    pub(super) force: bool,
    /// The name of the estate
    #[arg(long)]
    name: Option<String>,
    /// A site; given twice, the active one first
    #[arg(long = "site", value_name = "SITE")]
    sites: Vec<String>,
    /// The shared mount, as the hosts of both sites see it
    #[arg(long, value_name = "PATH")]
    exchange: Option<String>,
    /// A host, as `SITE/NAME=ADDRESS`; the address `local` means the machine the program runs on
    #[arg(long = "host", value_name = "HOST")]
    hosts: Vec<String>,
    /// Search nodes of a site, as `SITE=URL,URL…`
    #[arg(long = "search", value_name = "NODES")]
    search: Vec<String>,
    /// A MySQL database to copy
    #[arg(long = "database", value_name = "NAME")]
    databases: Vec<String>,
    /// A folder of files to copy
    #[arg(long = "files", value_name = "PATH")]
    files: Vec<String>,
}

/// What an estate file is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answers {
    pub name: String,
    pub sites: [SiteAnswers; 2],
    pub exchange: String,
    pub databases: Vec<String>,
    pub files: Vec<String>,
    pub has_database: bool,
}

/// One of the two sites.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SiteAnswers {
    pub name: String,
    /// Name and address.
    pub hosts: Vec<(String, String)>,
    pub search: Vec<String>,
}

/// Options first, questions for the rest.
///
/// # Errors
/// When something is open and nobody can be asked, and when an option cannot be understood.
pub(super) fn collect(io: &mut Io, args: InitArgs) -> Result<Answers, CliError> {
    // Options for anything at all mean that the rest was left out on purpose.
    let ask_all = io.is_interactive && args.sites.is_empty() && args.hosts.is_empty();
    let mut open = Vec::new();
    let mut text = |io: &mut Io, given: Option<String>, option: &'static str, question: &str, default: &str| {
        if let Some(given) = given {
            return Ok(given);
        }
        if io.is_interactive {
            return ask(io, question, Some(default));
        }
        open.push(option);
        Ok(String::new())
    };
    let mut sites = args.sites.into_iter();
    let name = text(io, args.name, "--name NAME", "Name of the estate", "shop")?;
    let active = text(io, sites.next(), "--site SITE (the active one)", "Name of the active site", "prod")?;
    let standby = text(io, sites.next(), "--site SITE (the standby)", "Name of the standby site", "bcp")?;
    if sites.next().is_some() {
        return Err(CliError::invalid("an estate has exactly two sites").hint("give `--site` twice"));
    }
    let exchange = text(io, args.exchange, "--exchange PATH", "Shared mount, as the hosts see it", "/mnt/exchange")?;
    let mut pair = [active, standby].map(|name| SiteAnswers { name, hosts: Vec::new(), search: Vec::new() });
    for host in &args.hosts {
        let (site, rest) = host.split_once('/').ok_or_else(|| misread("--host", host, "SITE/NAME=ADDRESS"))?;
        let (name, address) = rest.split_once('=').ok_or_else(|| misread("--host", host, "SITE/NAME=ADDRESS"))?;
        site_of(&mut pair, site)?.hosts.push((name.to_owned(), address.to_owned()));
    }
    for nodes in &args.search {
        let (site, urls) = nodes.split_once('=').ok_or_else(|| misread("--search", nodes, "SITE=URL,URL…"))?;
        site_of(&mut pair, site)?.search.extend(urls.split(',').map(|url| url.trim().to_owned()));
    }
    let (mut databases, mut files) = (args.databases, args.files);
    if ask_all {
        for site in &mut pair {
            let question =
                format!("Hosts at {} (name=address, separated by blanks; `local` is this machine)", site.name);
            for host in ask(io, &question, None)?.split_whitespace() {
                let (name, address) = host.split_once('=').ok_or_else(|| misread("the host", host, "name=address"))?;
                site.hosts.push((name.to_owned(), address.to_owned()));
            }
        }
        if args.search.is_empty() {
            for site in &mut pair {
                let question = format!("URLs of the search nodes at {} (nothing: no search)", site.name);
                site.search = words(&ask(io, &question, None)?);
                if site.search.is_empty() {
                    break;
                }
            }
        }
        if databases.is_empty() {
            databases = words(&ask(io, "MySQL databases to copy (nothing: none)", None)?);
        }
        if files.is_empty() {
            files = words(&ask(io, "Folders to copy (nothing: none)", None)?);
        }
    } else if pair.iter().any(|site| site.hosts.is_empty()) {
        open.push("--host SITE/NAME=ADDRESS (at least one for each site)");
    }
    if !open.is_empty() {
        let mut problem = CliError::invalid("not enough is known for an estate, and nobody can be asked here");
        for option in open {
            problem = problem.hint(format!("give `{option}`"));
        }
        return Err(problem);
    }
    let has_database = !databases.is_empty();
    Ok(Answers { name, sites: pair, exchange, databases, files, has_database })
}

fn ask(io: &mut Io, question: &str, default: Option<&str>) -> Result<String, CliError> {
    io.ask(question, default)?.ok_or_else(|| CliError::invalid("the answers ended early; nothing was written"))
}

fn words(text: &str) -> Vec<String> {
    text.split([' ', ',']).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn misread(what: &str, found: &str, form: &str) -> CliError {
    CliError::invalid(format!("cannot read {what} `{found}`")).hint(format!("write it as {form}"))
}

fn site_of<'a>(pair: &'a mut [SiteAnswers; 2], name: &str) -> Result<&'a mut SiteAnswers, CliError> {
    let known = format!("the sites are {} and {}", pair[0].name, pair[1].name);
    pair.iter_mut()
        .find(|site| site.name == name)
        .ok_or_else(|| CliError::invalid(format!("there is no site `{name}`")).hint(known))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: InitArgs,
    }

    fn answer(arguments: &[&str], typed: &'static str) -> Result<Answers, CliError> {
        let mut io = Io {
            input: Box::new(typed.as_bytes()),
            out: Box::new(std::io::sink()),
            err: Box::new(std::io::sink()),
            is_interactive: true,
            is_terminal: true,
            width: 80,
            height: None,
            colour: false,
        };
        let line = Line::try_parse_from(["init"].iter().chain(arguments)).expect("good arguments");
        collect(&mut io, line.args)
    }

    #[test]
    fn questions_fill_what_options_leave_open() {
        let given = ["--name", "web", "--exchange", "/mnt/y", "--database", "crm"];
        let typed = "one\ntwo\napp1=10.0.0.1\nmain=local\n\n/srv/files\n";
        let answers = answer(&given, typed).expect("an estate");
        assert_eq!((answers.name.as_str(), answers.exchange.as_str()), ("web", "/mnt/y"));
        assert_eq!([&answers.sites[0].name, &answers.sites[1].name], ["one", "two"]);
        assert_eq!((answers.databases, answers.files), (vec!["crm".to_owned()], vec!["/srv/files".to_owned()]));
    }

    #[test]
    fn answers_are_taken_in_the_order_of_the_questions() {
        let typed = "\n\ndr\n/mnt/x\napp1=10.0.0.1 app2=10.0.0.2\nmain=local\nhttp://a:9200, http://b:9200\nhttp://c:9200\nshop\n\n";
        let answers = answer(&[], typed).expect("an estate");
        assert_eq!((answers.name.as_str(), answers.exchange.as_str()), ("shop", "/mnt/x"));
        assert_eq!([&answers.sites[0].name, &answers.sites[1].name], ["prod", "dr"]);
        assert_eq!(answers.sites[0].hosts.len(), 2);
        assert_eq!(answers.sites[1].hosts, [("main".to_owned(), "local".to_owned())]);
        assert_eq!(answers.sites[0].search, ["http://a:9200", "http://b:9200"]);
        assert_eq!((answers.databases, answers.files), (vec!["shop".to_owned()], Vec::new()));
    }

    #[test]
    fn an_input_that_ends_writes_nothing() {
        assert!(answer(&[], "shop\nprod\n").is_err());
    }
}
