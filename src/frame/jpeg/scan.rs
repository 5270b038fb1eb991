//! Walks through the entropy-coded data of a scan (ITU-T T.81, F.2.2 and G.2) to see whether every block is there. What
//! the coefficients are does not matter, only how many bits they take.

use super::bits::Bits;
use super::huffman::{MOST_AC_BITS, NoSymbol, Step, Table};

/// Most bits of a DC difference of an image of 8 bits (F.1.2.1).
const MOST_DC_BITS: u8 = 11;
/// Stands for a coefficient of which no scan has come yet.
const UNSEEN: u8 = u8::MAX;

/// One component of the frame.
#[derive(Debug, Clone)]
pub(super) struct Component {
    pub id: u8,
    /// Sampling factors, 1 to 4.
    pub horizontal: u32,
    pub vertical: u32,
    /// Blocks of eight by eight samples in width and height.
    pub blocks: (u32, u32),
    /// Lowest bit that was sent of every coefficient so far.
    lowest: [u8; 64],
    /// For every block, which coefficients are not zero: those are refined. For progressive images only.
    nonzero: Vec<u64>,
}

/// What the start of the frame says.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    pub progressive: bool,
    pub width: u32,
    pub height: u32,
    pub components: Vec<Component>,
    /// Width and height in pixels of a minimum coded unit of an interleaved scan.
    pub unit: (u32, u32),
}

/// The code tables that are in force.
#[derive(Debug, Clone, Default)]
pub(super) struct Tables {
    pub dc: [Option<Table>; 4],
    pub ac: [Option<Table>; 4],
}

/// What the start of a scan says.
#[derive(Debug, Clone)]
pub(super) struct Scan {
    /// Index of the component in the frame, ids of its DC and its AC table.
    pub components: Vec<(usize, usize, usize)>,
    /// First and last coefficient.
    pub spectrum: (u8, u8),
    /// Lowest bit that was sent before (0: none was), and the lowest bit of this scan.
    pub bits: (u8, u8),
}

/// What is wrong with a scan.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The data end in this unit of so many.
    Ended { unit: u64, units: u64 },
    /// The data cannot be a scan.
    Damaged(String),
}

impl Component {
    pub fn new(id: u8, horizontal: u32, vertical: u32) -> Self {
        Self { id, horizontal, vertical, blocks: (0, 0), lowest: [UNSEEN; 64], nonzero: Vec::new() }
    }

    /// Whether all bits of all coefficients were sent.
    pub fn is_complete(&self) -> bool {
        self.lowest == [0; 64]
    }

    /// Whether the brightness of the blocks was sent, without which there is no image.
    pub fn has_started(&self) -> bool {
        self.lowest[0] != UNSEEN
    }
}

impl Frame {
    /// Units of a scan: blocks of a single component, or groups of blocks of several.
    pub fn units(&self, scan: &Scan) -> u64 {
        match scan.components.as_slice() {
            &[(only, ..)] => {
                let (wide, high) = self.components[only].blocks;
                u64::from(wide) * u64::from(high)
            }
            _ => self.units_above(self.unit, self.height),
        }
    }

    /// Walks through a scan that begins where `bits` are and remembers what it brought. Returns the position behind the first `few` units,
    /// where there are more.
    pub fn walk(
        &mut self,
        scan: &Scan,
        tables: &Tables,
        restart_interval: u64,
        bits: &mut Bits<'_>,
        few: u64,
    ) -> Result<Option<usize>, Trouble> {
        let units = self.units(scan);
        let mut behind = None;
        let mut blocks = Blocks::new(self, scan, tables)?;
        for unit in 0..units {
            if unit == few {
                behind = Some(bits.position());
            }
            if unit > 0 && restart_interval > 0 && unit % restart_interval == 0 {
                let number = ((unit / restart_interval - 1) % 8) as u8;
                restart(bits, number).map_err(|found| match found {
                    None => Trouble::Ended { unit, units },
                    Some(found) => {
                        Trouble::Damaged(format!("restart marker {found} stands where {number} belongs: data are lost"))
                    }
                })?;
                blocks.end_of_band = 0;
            }
            blocks.unit(unit as usize, bits).map_err(|problem| match problem {
                NoSymbol::Ended => Trouble::Ended { unit, units },
                NoSymbol::NoCode => Trouble::Damaged(format!("no code of the Huffman table in unit {unit} of {units}")),
            })?;
        }
        self.remember(scan);
        Ok(behind)
    }

    /// Units above a row, and the rows that they hold, where all units of the image are in this scan; `None` where no unit can be left out.
    /// One row of units is more than is asked for: what lies at their edge is interpolated with it.
    pub fn above(&self, scan: &Scan, row: u32) -> Option<(u64, u32)> {
        if self.progressive || scan.components.len() < self.components.len() {
            return None;
        }
        // A component alone is not interleaved: its units are blocks.
        let unit = if self.components.len() == 1 { (8, 8) } else { self.unit };
        let rows = row.div_ceil(unit.1).checked_add(1)?.checked_mul(unit.1)?;
        (rows < self.height).then(|| (self.units_above(unit, rows), rows))
    }

    /// Units of that size that cover the first rows.
    fn units_above(&self, (wide, high): (u32, u32), rows: u32) -> u64 {
        u64::from(self.width.div_ceil(wide)) * u64::from(rows.div_ceil(high))
    }

    fn remember(&mut self, scan: &Scan) {
        let spectrum = usize::from(scan.spectrum.0)..=usize::from(scan.spectrum.1);
        for &(index, ..) in &scan.components {
            self.components[index].lowest[spectrum.clone()].fill(scan.bits.1);
        }
    }
}

/// Goes past the restart marker of that number; the number of another one that stands there instead.
fn restart(bits: &mut Bits<'_>, number: u8) -> Result<(), Option<u8>> {
    match bits.go_past_restart() {
        Some(found) if found == number => Ok(()),
        found => Err(found),
    }
}

/// The blocks of a scan.
struct Blocks<'a> {
    kind: Kind<'a>,
    /// Blocks of the current band that have no more coefficients.
    end_of_band: u32,
}

enum Kind<'a> {
    /// Per component: blocks in a unit, DC and AC table.
    Sequential(Vec<(u32, &'a Table, &'a Table)>),
    /// Per component: blocks in a unit and DC table.
    DcFirst(Vec<(u32, &'a Table)>),
    /// Blocks in a unit.
    DcRefine(u32),
    Ac {
        table: &'a Table,
        first: u32,
        last: u32,
        refine: bool,
        nonzero: &'a mut [u64],
    },
}

impl<'a> Blocks<'a> {
    fn new(frame: &'a mut Frame, scan: &Scan, tables: &'a Tables) -> Result<Self, Trouble> {
        let table = |class: &'static str, tables: &'a [Option<Table>; 4], id: usize| {
            let missing = || Trouble::Damaged(format!("the scan uses {class} table {id}, which is not defined"));
            tables.get(id).and_then(Option::as_ref).ok_or_else(missing)
        };
        let alone = scan.components.len() == 1;
        let components = &frame.components;
        let in_unit = |index: usize| if alone { 1 } else { components[index].horizontal * components[index].vertical };
        let with_dc =
            scan.components.iter().map(|&(index, dc, ac)| Ok((in_unit(index), table("DC", &tables.dc, dc)?, ac)));
        let kind = match (frame.progressive, scan.spectrum, scan.bits) {
            (false, ..) => Kind::Sequential(
                with_dc
                    .map(|component| {
                        component.and_then(|(blocks, dc, ac)| Ok((blocks, dc, table("AC", &tables.ac, ac)?)))
                    })
                    .collect::<Result<_, Trouble>>()?,
            ),
            (true, (0, _), (0, _)) => {
                let first = with_dc.map(|component| component.map(|(blocks, dc, _)| (blocks, dc)));
                Kind::DcFirst(first.collect::<Result<_, Trouble>>()?)
            }
            (true, (0, _), _) => Kind::DcRefine(scan.components.iter().map(|&(index, ..)| in_unit(index)).sum()),
            (true, (first, last), (high, _)) => {
                let &(index, _, ac) =
                    scan.components.first().ok_or_else(|| Trouble::Damaged("an empty scan".into()))?;
                let component = &mut frame.components[index];
                component.nonzero.resize(component.blocks.0 as usize * component.blocks.1 as usize, 0);
                let table = table("AC", &tables.ac, ac)?;
                let (first, last, refine) = (u32::from(first), u32::from(last), high != 0);
                Kind::Ac { table, first, last, refine, nonzero: &mut component.nonzero }
            }
        };
        Ok(Self { kind, end_of_band: 0 })
    }

    /// Walks through the blocks of a unit.
    fn unit(&mut self, unit: usize, bits: &mut Bits<'_>) -> Result<(), NoSymbol> {
        match &mut self.kind {
            Kind::Sequential(components) => {
                for &(blocks, dc, ac) in components.iter() {
                    for _ in 0..blocks {
                        dc_difference(dc, bits)?;
                        ac_coefficients(ac, bits)?;
                    }
                }
                Ok(())
            }
            Kind::DcFirst(components) => {
                components.iter().try_for_each(|&(blocks, dc)| (0..blocks).try_for_each(|_| dc_difference(dc, bits)))
            }
            Kind::DcRefine(blocks) => (0..*blocks).try_for_each(|_| Ok(bits.skip(1)?)),
            Kind::Ac { table, first, last, refine, nonzero } => {
                let band = Band { table, first: *first, last: *last };
                let run = &mut self.end_of_band;
                if *refine {
                    band.refine(&mut nonzero[unit], run, bits)
                } else {
                    band.begin(&mut nonzero[unit], run, bits)
                }
            }
        }
    }
}

/// F.2.2.1.
#[inline]
fn dc_difference(table: &Table, bits: &mut Bits<'_>) -> Result<(), NoSymbol> {
    let size = table.symbol(bits)?;
    if size > MOST_DC_BITS {
        return Err(NoSymbol::NoCode);
    }
    Ok(bits.skip(size.into())?)
}

/// F.2.2.2.
#[inline]
fn ac_coefficients(table: &Table, bits: &mut Bits<'_>) -> Result<(), NoSymbol> {
    let mut index = 1;
    while index < 64 {
        let step = table.step(bits);
        let coefficients = if step.bits == 0 { long_step(table, bits)? } else { taken(step, bits)? };
        if coefficients == 0 {
            return Ok(());
        }
        index += u32::from(coefficients);
    }
    // A coefficient beyond the last one.
    if index > 64 { Err(NoSymbol::NoCode) } else { Ok(()) }
}

#[inline]
fn taken(step: Step, bits: &mut Bits<'_>) -> Result<u8, NoSymbol> {
    bits.skip(step.bits.into())?;
    Ok(step.coefficients)
}

#[cold]
fn long_step(table: &Table, bits: &mut Bits<'_>) -> Result<u8, NoSymbol> {
    let (zeros, size) = run_and_size(table, bits)?;
    bits.skip(size)?;
    Ok(match (zeros, size) {
        (15, 0) => 16,
        (_, 0) => 0,
        _ => zeros as u8 + 1,
    })
}

#[inline]
fn run_and_size(table: &Table, bits: &mut Bits<'_>) -> Result<(u32, u32), NoSymbol> {
    let symbol = table.symbol(bits)?;
    if symbol & 15 > MOST_AC_BITS {
        return Err(NoSymbol::NoCode);
    }
    Ok((u32::from(symbol >> 4), u32::from(symbol & 15)))
}

/// The coefficients of a progressive scan.
struct Band<'a> {
    table: &'a Table,
    first: u32,
    last: u32,
}

impl Band<'_> {
    /// G.1.2.2: the first bits of the coefficients.
    fn begin(&self, nonzero: &mut u64, end_of_band: &mut u32, bits: &mut Bits<'_>) -> Result<(), NoSymbol> {
        if *end_of_band > 0 {
            *end_of_band -= 1;
            return Ok(());
        }
        let mut index = self.first;
        while index <= self.last {
            let (run, size) = run_and_size(self.table, bits)?;
            match (run, size) {
                (15, 0) => index += 16,
                (run, 0) => {
                    *end_of_band = (1 << run) - 1 + bits.take(run)?;
                    return Ok(());
                }
                (run, size) => {
                    index += run;
                    if index > self.last {
                        return Err(NoSymbol::NoCode);
                    }
                    bits.skip(size)?;
                    *nonzero |= 1 << index;
                    index += 1;
                }
            }
        }
        Ok(())
    }

    /// G.1.2.3: one more bit of those that are not zero, and those that become it.
    fn refine(&self, nonzero: &mut u64, end_of_band: &mut u32, bits: &mut Bits<'_>) -> Result<(), NoSymbol> {
        let before = *nonzero;
        let mut index = self.first;
        while *end_of_band == 0 && index <= self.last {
            let (mut zeros, size) = run_and_size(self.table, bits)?;
            match (zeros, size) {
                (15, 0) => {}
                (run, 0) => {
                    *end_of_band = (1 << run) + bits.take(run)?;
                    break;
                }
                // Its sign.
                _ => bits.skip(1)?,
            }
            while index <= self.last {
                if before >> index & 1 == 1 {
                    bits.skip(1)?;
                } else if zeros == 0 {
                    break;
                } else {
                    zeros -= 1;
                }
                index += 1;
            }
            if size > 0 && index <= self.last {
                *nonzero |= 1 << index;
            }
            index += 1;
        }
        if *end_of_band > 0 {
            *end_of_band -= 1;
            (index..=self.last).filter(|index| before >> index & 1 == 1).try_for_each(|_| bits.skip(1))?;
        }
        Ok(())
    }
}
