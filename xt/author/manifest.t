# MANIFEST is what git has, less what MANIFEST.SKIP names.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use AuthorTest;
use ExtUtils::Manifest ();

chdir top() or die $!;
$ExtUtils::Manifest::Quiet = 1;
my $skipped  = ExtUtils::Manifest::maniskip();
my @expected = grep { !$skipped->($_) } tracked();
my @listed   = sort keys %{ ExtUtils::Manifest::maniread() };
is_deeply \@listed, \@expected, 'MANIFEST lists what git has (make manifest brings it up to date)';

my @lines = map { /^(\S+)/ } split /\n/, slurp('MANIFEST');
is scalar(@lines), scalar(@listed), 'each once';
is_deeply [ grep { $skipped->($_) } @listed ], [], 'nothing that is skipped';

# what a build from the tarball cannot do without
my %listed = map { $_ => 1 } @listed;
ok $listed{$_}, "with $_"
    for qw(Cargo.lock Cargo.toml Makefile.PL build.rs perlxs-rs/Cargo.toml perlxs-rs/build.rs
    perlxs-rs/csrc/shim.c perlxs-rs/perl/PerlXS/MakeMaker.pm perlxs-rs/tests/extension/lib.rs);

done_testing;
