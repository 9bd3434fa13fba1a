//! The binary interface is frozen. `layout.txt` records the layout of everything that crosses the FFI boundary, and
//! this test fails if a layout changes.
//!
//! The layouts are those that abi_stable compares when a library is opened. `DOGPILE_TESTS_REWRITE=1` records them again,
//! which fails unless the version of the crate was raised as the change requires.

#![cfg(target_pointer_width = "64")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "layout/recorded.rs"]
mod recorded;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use abi_stable::StableAbi;
use abi_stable::std_types::utypeid::UTypeId;
use abi_stable::type_layout::{TLData, TLField, TLFunction, TLPrimitive, TypeLayout};
use dogpile_abi::{ABI_VERSION, PluginRootRef};

use self::recorded::{Change, Recorded};

/// Returns one block of lines for each type that crosses, by the name of the type.
fn layouts() -> BTreeMap<String, Vec<String>> {
    let mut types = Types::default();
    // The root module leads to all other types.
    types.add(PluginRootRef::LAYOUT);
    types.all.iter().map(|layout| (types.name(layout), types.block(layout))).collect()
}

/// All types that cross, each with a name of its own.
#[derive(Default)]
struct Types {
    /// In the order in which one leads to the other.
    all: Vec<&'static TypeLayout>,
    names: HashMap<UTypeId, String>,
}

impl Types {
    fn add(&mut self, layout: &'static TypeLayout) {
        let id = layout.get_utypeid();
        if self.names.contains_key(&id) {
            return;
        }
        let name = spelled(layout);
        let is_free = |name: &String| self.names.values().all(|other| other != name);
        let mut numbered = (2..).map(|number| format!("{name} ({number})"));
        let name = if is_free(&name) { name } else { numbered.find(is_free).unwrap() };
        self.all.push(layout);
        self.names.insert(id, name);
        layout.shared_vars().type_layouts().iter().for_each(|nested| self.add(nested()));
    }

    fn name(&self, layout: &TypeLayout) -> String {
        self.names[&layout.get_utypeid()].clone()
    }

    /// Returns what two binaries must agree on for one type.
    fn block(&self, layout: &TypeLayout) -> Vec<String> {
        let (size, align) = (layout.size(), layout.alignment());
        let size = if layout.is_prefix_kind() { "can grow".to_owned() } else { format!("size {size}") };
        let mut lines =
            vec![format!("{size}, align {align}, {:?}, {}", layout.repr_attr(), layout.package())];
        match layout.data() {
            TLData::Primitive(primitive) => lines.push(format!("primitive {primitive:?}")),
            TLData::Opaque => lines.push("opaque".to_owned()),
            TLData::Struct { .. } | TLData::Union { .. } => {}
            TLData::Enum(data) => {
                lines.push(format!("variants {} with {:?} fields", data.variant_names, data.field_count));
                lines.push(format!("discriminants {:?}", data.discriminants));
            }
            TLData::PrefixType(table) => {
                lines.push(format!("fields of the first version: {}", table.first_suffix_field));
            }
        }
        let fields = layout.get_fields();
        lines.extend(fields.iter().flat_map(|fields| fields.iter()).map(|field| self.field(field)));
        lines
    }

    fn field(&self, field: TLField) -> String {
        let mut functions = field.function_range().iter().map(|function| self.function(&function));
        let name = functions.next().unwrap_or_else(|| self.name(field.layout()));
        format!("{}: {name}", field.name())
    }

    fn function(&self, function: &TLFunction) -> String {
        let parameters = function.param_type_layouts.iter().map(|layout| self.name(layout()));
        let returned =
            function.return_type_layout().map_or_else(|| "()".to_owned(), |layout| self.name(layout()));
        let kind = if function.fn_qualifs.is_unsafe() { "unsafe fn" } else { "fn" };
        format!("{kind}({}) -> {returned}", parameters.collect::<Vec<_>>().join(", "))
    }
}

/// Returns the name of a type. abi_stable leaves out the parameters of generic types, so that the types of the fields
/// stand for them.
fn spelled(layout: &TypeLayout) -> String {
    let name = layout.full_type().to_string().trim().replace("  ", " ");
    let is_plain = ["RString", "RStr<'a>", "PrefixRef"].iter().any(|plain| name.starts_with(plain));
    if is_plain || layout.package() == env!("CARGO_PKG_NAME") || layout.is_prefix_kind() {
        return name;
    }
    let pointer = match layout.data() {
        TLData::Primitive(TLPrimitive::ConstPtr) => "*const ",
        TLData::Primitive(TLPrimitive::MutPtr) => "*mut ",
        TLData::Primitive(TLPrimitive::SharedRef) => "&",
        TLData::Primitive(TLPrimitive::MutRef) => "&mut ",
        _ => "",
    };
    if let (false, Some(pointee)) = (pointer.is_empty(), layout.shared_vars().type_layouts().first()) {
        return format!("{pointer}{}", spelled(pointee()));
    }
    let fields = layout.get_fields();
    let types = fields.iter().flat_map(|fields| fields.iter()).map(|field| spelled(field.layout()));
    let types: Vec<String> = types.filter(|name| !name.starts_with("PrefixRef") && name != "usize").collect();
    if types.is_empty() { name } else { format!("{name}<{}>", types.join(", ")) }
}

#[test]
fn binary_interface_is_as_recorded() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("layout.txt");
    let (present, text) = (Recorded::new(ABI_VERSION, layouts()), std::fs::read_to_string(&path));
    let recorded = Recorded::parse(&text.unwrap_or_default());
    let change = recorded.change_to(&present);
    if std::env::var_os("DOGPILE_TESTS_REWRITE").is_some() {
        assert!(change.is_allowed(), "{change}");
        std::fs::write(&path, present.to_string()).unwrap();
    } else {
        assert!(change == Change::None, "{change}");
    }
}

#[test]
fn every_crossing_type_is_recorded() {
    let layouts = layouts();
    let names = [
        "AbiError",
        "BackendObject",
        "BackendVtable",
        "CachedValue",
        "CompletionTable",
        "HostTable",
        "MutexVtable",
        "MutexOperationsVtable",
        "OperationsVtable",
        "OptionsTable",
        "PluginRoot",
        "RunningVtable",
        "StableEntry",
        "Visitor",
    ];
    for name in names {
        let is_it = |full: &String| full.split(|mark: char| !mark.is_alphanumeric()).next() == Some(name);
        assert!(layouts.keys().any(is_it), "{name} is not among {:?}", layouts.keys());
    }
}
