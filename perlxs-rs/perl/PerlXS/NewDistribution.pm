package PerlXS::NewDistribution;

use 5.022;
use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use File::Copy ();
use File::Find ();
use File::Path ();

=head1 NAME

PerlXS::NewDistribution - what a new distribution with a Rust crate begins with

=head1 SYNOPSIS

    perl -I/path/to/perlxs-rs/perl -MPerlXS::MakeMaker=new,Foo-Bar
    cd Foo-Bar && perl Makefile.PL && make && make test

=head1 DESCRIPTION

The work of PerlXS::MakeMaker's C<new>.

=head2 PerlXS::NewDistribution::create($name)

Writes a distribution of this name, C<Foo-Bar> or C<Foo::Bar>, into the directory F<Foo-Bar>, which
must not be there: a module with two functions, a class, documentation and a test, and a copy of the
perlxs-rs that this file belongs to. F<Cargo.lock> is made by cargo, where that can. Returns the name
of the directory. Dies with one sentence if the name is none of a module, or something cannot be
written; then nothing is left.

=cut

# The package's own files, as Cargo.toml includes them, without tests but for the example that
# Cargo.toml names.
my @perlxs = qw(CHANGELOG.md Cargo.toml LICENSE README.md build.rs csrc doc perl src tests/extension);

sub create {
    my ($name) = @_;
    die "a new distribution needs a name, as in PerlXS::MakeMaker=new,Foo-Bar\n" if !length($name // '');
    (my $module = $name) =~ s/-/::/g;
    die "'$name' is no name of a distribution, such as Foo-Bar\n"
        if $module !~ /^[A-Za-z][A-Za-z0-9_]*(?:::[A-Za-z0-9_]+)*$/a;
    (my $dir = $module) =~ s/::/-/g;
    die "there is a $dir already\n" if -e $dir || -l $dir;
    my $from = dirname(dirname(dirname(Cwd::abs_path(__FILE__))));
    for my $part (@perlxs) {
        die "there is no perlxs-rs around PerlXS::MakeMaker: $from/$part is missing\n" if !-e "$from/$part";
    }
    if (!eval { write_all($from, $dir, $module); 1 }) {
        my $error = $@;
        File::Path::remove_tree($dir);
        die $error;
    }
    return $dir;
}

sub write_all {
    my ($from, $dir, $module) = @_;
    my %files = files($dir, $module);
    spew("$dir/$_", $files{$_}) for sort keys %files;
    my @carried;
    my $copy = sub {
        return if -d;
        my $file = 'perlxs-rs' . substr $_, length $from;
        push @carried, $file;
        File::Path::make_path(dirname("$dir/$file"));
        File::Copy::copy($_, "$dir/$file") or die "$dir/$file: $!\n";
    };
    File::Find::find({ no_chdir => 1, wanted => $copy }, map { "$from/$_" } @perlxs);
    PerlXS::MakeMaker::has_lock_file($dir);
    spew("$dir/MANIFEST", map { "$_\n" } sort keys %files, @carried, 'Cargo.lock', 'MANIFEST');
    return;
}

sub spew {
    my ($file, @text) = @_;
    File::Path::make_path(dirname($file));
    open my $fh, '>:raw', $file or die "$file: $!\n";
    print {$fh} @text;
    close $fh or die "$file: $!\n";
    return;
}

# The files, by their names.
sub files {
    my ($dir, $module) = @_;
    my $crate = lc $module =~ s/::/_/gr;
    my $pm    = 'lib/' . $module =~ s{::}{/}gr . '.pm';
    # apart from its sigil, or tools would take it for the version of this file
    my $version = 'VERSION';
    my %text  = (
        'Cargo.toml' => <<"TOML",
[package]
name = "$crate"
version = "0.1.0"
edition = "2024"
rust-version = "1.85"
publish = false

[lib]
crate-type = ["cdylib"]

[dependencies]
perlxs = { package = "perlxs-rs", path = "perlxs-rs" }

# a project of its own
[workspace]

[profile.release]
codegen-units = 1
lto = "fat"
strip = "symbols"
TOML
        'src/lib.rs' => <<"RUST",
//! What `$module` does.

#![deny(unsafe_code)]

struct Counter {
    count: i64,
}

perlxs::module! {
    $module "0.01";

    /// `greet(\$name)`
    fn greet(name: Option<&str>) -> String {
        format!("Hello, {}!", name.unwrap_or("world"))
    }

    /// `sum(\\\@integers)`
    fn sum(integers: Vec<i64>) -> perlxs::Result<i64> {
        let sum = integers.iter().try_fold(0i64, |sum, &n| sum.checked_add(n));
        sum.ok_or_else(|| perlxs::Error::croak("the sum is too large"))
    }

    /// A counter.
    class Counter {
        fn new(count: i64) -> Counter {
            Counter { count }
        }

        fn increment(&mut self) -> i64 {
            self.count += 1;
            self.count
        }
    }
}
RUST
        $pm => <<"PERL",
package $module;

use 5.022;
use strict;
use warnings;

use Exporter 'import';
use XSLoader;

our \$$version   = '0.01';
our \@EXPORT_OK = qw(greet sum);

XSLoader::load('$module', \$$version);

1;

__END__

=encoding utf8

=head1 NAME

$module - what it does, in a line

=head1 SYNOPSIS

    use $module qw(greet sum);

    print greet('Larry');                       # Hello, Larry!
    print sum([1, 2, 39]);                      # 42
    my \$counter = ${module}::Counter->new(41);
    print \$counter->increment;                  # 42

=head1 DESCRIPTION

Nothing is exported by default.

=head2 greet(\$name)

Returns a greeting for C<\$name>; for the world if it is undef, or missing.

=head2 sum(\\\@integers)

Returns their sum. Dies of an element that is no integer, and of a sum that is too large.

=head2 ${module}::Counter->new(\$count)

Returns a counter that stands at C<\$count>.

=head2 \$counter->increment

Adds one and returns the new count.

=cut
PERL
        'Makefile.PL' => <<"PERL",
use 5.022;
use strict;
use warnings;

use lib 'perlxs-rs/perl';
use PerlXS::MakeMaker;

PerlXS::MakeMaker::write_makefile(
    NAME               => '$module',
    VERSION_FROM       => '$pm',
    ABSTRACT_FROM      => '$pm',
    MIN_PERL_VERSION   => '5.022',
    CRATE              => { library => '$crate' },
    CONFIGURE_REQUIRES => { 'ExtUtils::MakeMaker' => 0, 'Digest::MD5' => 0 },
    TEST_REQUIRES      => { 'Test::More'          => 0 },
    realclean          => { FILES => 'target' },
);
PERL
        "t/\L$dir.t" => <<"PERL",
use strict;
use warnings;

use Test::More;

use $module qw(greet sum);

is greet('Larry'), 'Hello, Larry!', 'a greeting';
is greet(), 'Hello, world!', 'for the world';
is sum([ 1, 2, 39 ]), 42, 'a sum';
ok !eval { sum([ 1, 'x' ]); 1 }, 'of what is no integer';
like \$\@, qr/^integers\\[1\\] must be an integer \\(i64\\), not the string "x" at /, 'says so';
my \$counter = ${module}::Counter->new(41);
is \$counter->increment, 42, 'a counter';

done_testing;
PERL
        'Changes'   => "0.01\n    - First version.\n",
        'README'    => "$module\n\n    perl Makefile.PL && make && make test && make install\n\nIt needs cargo and rustc 1.85, a C compiler and perl's headers.\n",
        '.gitignore' => join('', map { "$_\n" } qw(/target/ /blib/ /Makefile /Makefile.old /MYMETA.* /pm_to_blib), "/$dir-*"),
        'MANIFEST.SKIP' => join('', map { "$_\n" } '^\.git', '^target/', '^blib/', '^Makefile(?:\.old)?$', '^MYMETA\.', '^pm_to_blib$', "^$dir-", '~$', '\.bak$'),
    );
    return %text;
}

1;
