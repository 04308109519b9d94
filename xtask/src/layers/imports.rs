//! Which modules of its own crate a source names.

use std::collections::{BTreeMap, BTreeSet};

use syn::{
    Attribute, Item, ItemMod, Macro, Path, UseTree,
    visit::{self, Visit},
};

/// The modules right below the crate's root that a file names, in imports and in paths. `stem` is the file's place
/// below `src/`, without `.rs`. Tests do not count.
///
/// # Errors
///
/// Where the text is no Rust.
pub(super) fn of(text: &str, stem: &str) -> syn::Result<BTreeSet<String>> {
    let file = syn::parse_file(text)?;
    let place = match stem {
        "lib" | "main" => Vec::new(),
        stem => stem.split('/').map(str::to_owned).collect(),
    };
    let mut reader = Reader {
        place,
        names: BTreeSet::new(),
    };
    reader.visit_file(&file);
    Ok(reader.names)
}

/// What the root of a crate gives on from its modules: each name, and the module.
///
/// # Errors
///
/// Where the text is no Rust.
pub(super) fn given(text: &str) -> syn::Result<BTreeMap<String, String>> {
    let mut given = BTreeMap::new();
    for item in syn::parse_file(text)?.items {
        let Item::Use(item) = item else { continue };
        // `self::` and `crate::` say nothing here.
        let tree = match item.tree {
            UseTree::Path(path) if path.ident == "self" || path.ident == "crate" => *path.tree,
            tree => tree,
        };
        if let UseTree::Path(path) = &tree {
            leaves(&path.ident.to_string(), &path.tree, &mut given);
        }
    }
    Ok(given)
}

fn leaves(module: &str, tree: &UseTree, given: &mut BTreeMap<String, String>) {
    match tree {
        UseTree::Path(path) => leaves(module, &path.tree, given),
        UseTree::Group(group) => group
            .items
            .iter()
            .for_each(|one| leaves(module, one, given)),
        UseTree::Name(name) => drop(given.insert(name.ident.to_string(), module.to_owned())),
        UseTree::Rename(name) => drop(given.insert(name.rename.to_string(), module.to_owned())),
        UseTree::Glob(_) => {}
    }
}

struct Reader {
    /// The module that is read: its path from the crate's root.
    place: Vec<String>,
    names: BTreeSet<String>,
}

impl Reader {
    /// A path with its first words: `crate::a::…`, `super::…`, `self::…`.
    fn name(&mut self, words: &[String]) {
        let mut place = match words.first().map(String::as_str) {
            Some("crate") => Vec::new(),
            Some("self" | "super") => self.place.clone(),
            _ => return,
        };
        for word in words {
            match word.as_str() {
                "crate" | "self" => {}
                "super" => drop(place.pop()),
                word => {
                    place.push(word.to_owned());
                    break;
                }
            }
        }
        self.names.extend(place.into_iter().next());
    }

    fn tree(&mut self, before: &[String], tree: &UseTree) {
        let with = |word: String| [before, &[word]].concat();
        match tree {
            UseTree::Path(path) => self.tree(&with(path.ident.to_string()), &path.tree),
            UseTree::Group(group) => group.items.iter().for_each(|one| self.tree(before, one)),
            UseTree::Name(name) => self.name(&with(name.ident.to_string())),
            UseTree::Rename(name) => self.name(&with(name.ident.to_string())),
            UseTree::Glob(_) => self.name(before),
        }
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast Item) {
        if !attributes(item).iter().any(is_test) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        self.place.push(module.ident.to_string());
        visit::visit_item_mod(self, module);
        self.place.pop();
    }

    fn visit_use_tree(&mut self, tree: &'ast UseTree) {
        self.tree(&[], tree);
    }

    fn visit_path(&mut self, path: &'ast Path) {
        let words: Vec<String> = { path.segments.iter() }
            .map(|segment| segment.ident.to_string())
            .collect();
        self.name(&words);
        visit::visit_path(self, path);
    }

    /// What stands in a macro has no syntax of its own; its paths do.
    fn visit_macro(&mut self, of: &'ast Macro) {
        let text = of.tokens.to_string();
        for (at, _) in text.match_indices("crate :: ") {
            let name = text[at + "crate :: ".len()..].split(' ').next();
            self.names.extend(name.map(str::to_owned));
        }
        visit::visit_macro(self, of);
    }
}

fn is_test(attribute: &Attribute) -> bool {
    let list = attribute.meta.require_list();
    attribute.path().is_ident("cfg") && list.is_ok_and(|list| list.tokens.to_string() == "test")
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
