# What others' code is in a build: which crates, whence, under which licenses; that none is withdrawn,
# and that no advisory is known, as far as a machine can ask.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use AuthorTest;
use File::Path qw(make_path);
use File::Temp ();
use JSON::PP ();

my $top  = top();
my $dir  = File::Temp::tempdir(CLEANUP => 1);
my $meta = JSON::PP::decode_json(output('cargo metadata', $top, qw(cargo metadata --locked --format-version 1)));
my %packages = map { $_->{name} => $_ } @{ $meta->{packages} };
is scalar @{ $meta->{packages} }, scalar keys %packages, 'no crate in two versions';

# A test: the command succeeds. Returns what it prints on its standard output.
sub output {
    my ($name, $in, @command) = @_;
    return runs($name, $in, 'sh', '-c', 'exec 2>/dev/null; exec "$@"', 'sh', @command);
}

# ---- which crates ----

my @ours  = qw(linux-clone perlxs-rs);
my @used  = qw(bitflags libc);
my @build = qw(cc find-msvc-tools shlex);

# The names that cargo tree prints, on any system.
sub tree {
    my ($edges) = @_;
    my %names = map { /^(\S+) v/ ? ($1 => 1) : () }
        split /\n/, output("cargo tree -e $edges", $top, qw(cargo tree --locked --target all --prefix none -p linux-clone -e), $edges);
    return sort keys %names;
}
is_deeply [ tree('normal') ], [ sort @ours, @used ], 'in the library: four crates, of them two of others';
is_deeply [ tree('normal,build') ], [ sort @ours, @used, @build ], 'in order to build it: three more';
is_deeply [ sort keys %packages ], [ sort @ours, @used, @build ], 'the tests need no others';

# what a release build compiles, and runs
my (%compiled, %ran);
for (split /\n/, output('cargo build --release', $top, qw(cargo build --locked --release --message-format json -p linux-clone --target-dir), "$dir/target")) {
    my $message = JSON::PP::decode_json($_);
    next if $message->{reason} ne 'compiler-artifact';
    my ($package) = grep { $_->{id} eq $message->{package_id} } values %packages;
    $compiled{ $package->{name} } = 1;
    $ran{ $package->{name} } = 1 if grep { $_ eq 'custom-build' } @{ $message->{target}{kind} };
    is_deeply [ grep { $_ eq 'proc-macro' } @{ $message->{target}{kind} } ], [], "$package->{name}: no program for the compiler";
}
is_deeply [ sort keys %compiled ], [ sort @ours, @used, @build ], 'seven crates are compiled';
is_deeply [ sort keys %ran ], [ sort @ours, 'libc' ], 'the build scripts are ours, and that of libc';

# ---- whence ----

my %locked;
for (split /^\[\[package\]\]\n/m, slurp("$top/Cargo.lock")) {
    my %entry = /^(\w+) = "(.*)"$/mg;
    $locked{ $entry{name} } = \%entry if $entry{name};
}
is_deeply [ sort keys %locked ], [ sort keys %packages ], 'Cargo.lock has these';
my $registry = 'registry+https://github.com/rust-lang/crates.io-index';
for my $name (@used, @build) {
    is $packages{$name}{source}, $registry, "$name: of crates.io";
    is $locked{$name}{version}, $packages{$name}{version}, 'in the version that is locked';
    like $locked{$name}{checksum}, qr/^[0-9a-f]{64}$/, 'with its checksum';
}
for my $name (@ours) {
    is $packages{$name}{source}, undef, "$name: of this tree";
    ok !$locked{$name}{source} && !$locked{$name}{checksum}, 'and no other';
    like $packages{$name}{manifest_path}, qr{^\Q$top\E/}, 'below its top';
}

# ---- licenses ----

my %allowed = map { $_ => 1 } qw(MIT Apache-2.0);
my ($list) = slurp("$top/README") =~ /^LICENSE\n(.*)/ms;
my %told;
while ($list =~ /^    (.+?) \(.*?\) +(\S.*)$/mg) { my $license = $2; $told{$_} = $license for split /, /, $1 }
is_deeply [ sort keys %told ], [ sort @used, @build ], 'the README names all';
for my $name (@used, @build) {
    my $license = $packages{$name}{license} // '';
    note "$name $packages{$name}{version}: $license";
    is_deeply [ grep { !$allowed{$_} } split /\s+OR\s+/, $license ], [], "$name: $license";
    is $told{$name}, $license, 'as the README says';
    my ($source) = $packages{$name}{manifest_path} =~ m{^(.+)/};
    my %texts = map { m{/(LICENSE-[A-Z]+)(?:\.\w+)?$} ? ($1 => slurp($_)) : () } glob "$source/LICENSE*";
    like $texts{'LICENSE-MIT'} // '',    qr/Permission is hereby granted, free of charge/, 'it has the text of MIT';
    like $texts{'LICENSE-APACHE'} // '', qr/Apache License,?\s+Version 2\.0/,             'and of Apache-2.0';
}
is $packages{$_}{license}, 'Artistic-1.0-Perl OR GPL-1.0-or-later', "$_: perl's license" for @ours;

# ---- withdrawn versions, and what the registry has: asked anew, for cargo takes a locked version as it is ----

# What cargo says of a project that needs exactly these versions.
sub resolve {
    my ($name, %versions) = @_;
    make_path("$dir/$name/src");
    spew("$dir/$name/src/lib.rs", '');
    spew("$dir/$name/Cargo.toml", join "\n", '[package]', "name = \"$name\"", 'version = "0.0.0"', 'edition = "2021"', '[dependencies]',
        (map { "$_ = \"=$versions{$_}\"" } sort keys %versions), '');
    return run({ CARGO_NET_RETRY => 1 }, "$dir/$name", qw(cargo generate-lockfile));
}
SKIP: {
    my ($status, $output) = resolve('asked', map { $_ => $packages{$_}{version} } @used, @build);
    skip 'the registry cannot be asked: ' . ($output =~ /^(?:error|warning|Caused by):?\s*(.+)/m)[0], 1
        if $status && $output =~ /could ?n.t resolve host|failed to (?:download|fetch|query)|network|timed? ?out|connect/i;
    is $status, 0, 'no version is withdrawn' or diag $output;
    my %index = $status ? () : slurp("$dir/asked/Cargo.lock") =~ /^name = "(.+)"\nversion = ".+"\nsource = .+\nchecksum = "(.+)"$/mg;
    is_deeply \%index, { map { $_ => $locked{$_}{checksum} } @used, @build }, 'and the registry has the same checksums';

    ($status, $output) = resolve('refused', shlex => '0.0.0');
    isnt $status, 0, 'a version that the registry has not is refused';
    unlike $output, qr/resolve host/, 'by the registry';
}

# ---- advisories: the database is a repository of its own, which cargo-audit reads ----

SKIP: {
    my ($status, $version) = run($top, qw(cargo audit --version));
    skip 'no cargo audit on this machine', 1 if $status;
    my @audit = (qw(cargo audit --deny warnings --file), "$top/Cargo.lock");
    ($status, my $report) = run($top, @audit);
    # without a network, what it fetched before
    ($status, $report) = run($top, @audit, qw(--no-fetch --stale)) if $status && $report =~ /couldn't fetch|git operation failed|network/i;
    skip "cargo audit has no database: $report", 1 if $status && $report =~ /couldn't (?:fetch|open|load)|git operation failed|network/i;
    is $status, 0, 'no advisory is known' or diag $report;
}
done_testing;
