//! The report as a browser shows it, on a phone and on a desk, without a network. Where there is no Chromium, or `CHROMIUM`
//! names none, the test says so and passes.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Widths of the view, in CSS pixels: a small phone, a usual one, a desk.
const WIDTHS: [u32; 3] = [320, 390, 1280];
/// The least height of text on any of them, in CSS pixels. Labels of charts shrink with the view.
const LEAST_TEXT: f64 = 8.0;

/// Measures the pages in frames of the given widths, and writes what it finds as JSON into the document.
const MEASURE: &str = r#"
addEventListener("load", () => {
  const found = [...document.querySelectorAll("iframe")].map((frame) => {
    const page = frame.contentDocument, view = frame.contentWindow, root = page.documentElement;
    const inside = (e) => { const box = e.getBoundingClientRect(); return box.width > 0 && box.left >= 0 && box.right <= root.clientWidth + 1; };
    const heights = [...page.querySelectorAll("h1, h2, p, dt, dd, td, th, li, pre, svg text")]
      .filter((e) => e.textContent.trim())
      .map((e) => parseFloat(view.getComputedStyle(e).fontSize) * (e.getScreenCTM ? e.getScreenCTM().a : 1));
    return {
      width: root.clientWidth,
      content: root.scrollWidth,
      headings: [...page.querySelectorAll("h2")].map((e) => e.textContent),
      svgs: page.querySelectorAll("svg").length,
      outside: [...page.querySelectorAll("svg, h1, h2, figure, dl, ul")].filter((e) => !inside(e)).map((e) => e.outerHTML.slice(0, 80)),
      pictures: page.images.length,
      broken: [...page.images].filter((e) => !e.complete || e.naturalWidth === 0).length,
      text: Math.min(...heights),
      paper: view.getComputedStyle(page.body).backgroundColor,
      ink: view.getComputedStyle(page.body).color,
      loaded: view.performance.getEntriesByType("resource").map((e) => e.name).filter((name) => !name.startsWith("data:")),
    };
  });
  document.getElementById("found").textContent = JSON.stringify(found);
});
"#;

/// The browser, if there is one.
fn chromium() -> Option<PathBuf> {
    let named = std::env::var_os("CHROMIUM").map(PathBuf::from);
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let known = std::env::split_paths(&folders).flat_map(|folder| names.map(|name| folder.join(name)));
    named.into_iter().chain(known).find(|path| path.is_file())
}

/// A page with others in it, each in a view of its own width.
fn wrapped(pages: &[String]) -> String {
    let quoted = |page: &String| page.replace('&', "&amp;").replace('"', "&quot;");
    let frames = pages.iter().flat_map(|page| WIDTHS.map(|width| (width, quoted(page))));
    let frames = frames.map(|(width, page)| {
        format!("<iframe width=\"{width}\" height=\"800\" style=\"border:0\" srcdoc=\"{page}\"></iframe>\n")
    });
    format!(
        "<!DOCTYPE html>\n<body>{}<pre id=\"found\"></pre><script>{MEASURE}</script></body>\n",
        frames.collect::<String>()
    )
}

/// What the browser measures of each page at each width.
fn measured(browser: &Path, folder: &Path, pages: &[String]) -> Vec<Value> {
    let path = folder.join("frames.html");
    fs::write(&path, wrapped(pages)).unwrap();
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--disable-dev-shm-usage", "--host-resolver-rules=MAP * ~NOTFOUND", "--hide-scrollbars"])
        .arg(format!("--user-data-dir={}", folder.join("profile").display()))
        .args(["--window-size=1400,900", "--virtual-time-budget=10000", "--dump-dom"])
        .arg(format!("file://{}", path.display()))
        .output()
        .unwrap();
    let document = String::from_utf8_lossy(&output.stdout);
    let found = document.split_once("<pre id=\"found\">").and_then(|(_, rest)| rest.split_once("</pre>"));
    let found = found.map(|(found, _)| found.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"));
    let found = found.and_then(|found| serde_json::from_str(&found).ok());
    found.unwrap_or_else(|| {
        panic!("the browser measured nothing: {}", String::from_utf8_lossy(&output.stderr))
    })
}

/// What is wrong with a page, as it was measured at one width.
fn faults(found: &Value, width: u32) -> Vec<String> {
    let mut faults = vec![];
    let mut expect = |holds: bool, what: &str| {
        if !holds {
            faults.push(format!("{what} at {width}: {found}"));
        }
    };
    expect(found["width"] == width, "another width");
    expect(found["content"] == found["width"], "it scrolls sideways");
    expect(found["outside"] == Value::Array(vec![]), "elements out of sight");
    expect(found["broken"] == 0, "pictures that do not show");
    expect(found["loaded"] == Value::Array(vec![]), "something is loaded");
    expect(found["text"].as_f64().is_some_and(|text| text >= LEAST_TEXT), "text too small to read");
    expect(found["ink"] != found["paper"], "ink of the paper's colour");
    faults
}

fn report(folder: &Path, args: &[&str]) -> String {
    let train = ["train", "--quiet", "--set", "epochs=3", "--out", "run"];
    let output = Command::new(env!("CARGO_BIN_EXE_retrograde"))
        .current_dir(folder)
        .args([&train[..], args].concat())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let page = fs::read_to_string(folder.join("run/report.html")).unwrap();
    fs::remove_dir_all(folder.join("run")).unwrap();
    page
}

#[test]
fn a_report_is_readable_on_a_phone_and_on_a_desk() {
    let Some(browser) = chromium() else {
        // Not by a macro, whose output the test runner keeps to itself.
        writeln!(io::stderr(), "skipped: found no chromium; install it, or let CHROMIUM name it").unwrap();
        return;
    };
    let temp = tempfile::tempdir().unwrap();
    let row = |i: u32| format!("{},{},{}.5\n", i % 10, i / 10, 30 * (i % 10) + i);
    let table =
        format!("width,a_name_that_is_long_{},y\n{}", "x".repeat(80), (0..100).map(row).collect::<String>());
    fs::write(temp.path().join("numbers.csv"), table).unwrap();
    let classes = report(temp.path(), &["--set", "split.validation=0.1"]);
    let numbers = report(temp.path(), &["--data", "numbers.csv"]);
    // Pages that break what is asked for: a wide element, small print, a missing picture.
    let broken = [
        "<p style=\"width:2000px\">x</p>",
        "<p style=\"font-size:5px\">x</p>",
        "<img src=\"data:image/png;base64,AAAA\"/>",
    ]
    .map(|fault| numbers.replace("</main>", &format!("{fault}</main>")));
    let pages = [&[classes, numbers][..], &broken].concat();
    let found = measured(&browser, temp.path(), &pages);
    let of = |page: usize| {
        (0..WIDTHS.len()).flat_map(|i| faults(&found[page * WIDTHS.len() + i], WIDTHS[i])).collect::<Vec<_>>()
    };
    for (page, pictures) in [(0, true), (1, false)] {
        assert_eq!(of(page), Vec::<String>::new());
        let first = &found[page * WIDTHS.len()];
        assert_eq!(first["pictures"].as_u64().is_some_and(|n| n > 0), pictures, "{first}");
        assert!(first["svgs"].as_u64().is_some_and(|n| n >= 5), "{first}");
    }
    let headings = found[0]["headings"].to_string();
    for heading in ["Curves", "Confusion matrix", "Wrong examples", "Tape by layer", "Recipe"] {
        assert!(headings.contains(heading), "{headings}");
    }
    for (page, what) in [(2, "it scrolls sideways"), (3, "text too small"), (4, "pictures that do not show")]
    {
        let faults = of(page);
        assert!(faults.iter().any(|fault| fault.starts_with(what)), "{what}: {faults:?}");
    }
}
