# What the README shows works.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use AuthorTest;
use Readme ();

# README.md is for hosts that render it, README the same as plain text
my $readme = slurp(top() . '/README');
is $readme, Readme::plain(slurp(top() . '/README.md')), 'README is made from README.md (perl -Ixt/author/lib -MReadme -e Readme::write)';
my ($picture) = slurp(top() . '/README.md') =~ /^!\[.+\]\((.+)\)$/m;
ok -s top() . "/$picture", "with a picture that there is: $picture";

my ($example) = $readme =~ /^((?:    .*\n)*    use Linux::Clone.*\n(?:    .*\n)*)/m;
my $lines = () = $example =~ /\n/g;
is $lines, 5, 'five lines';
is runs('that work', top(), $^X, '-Mblib', '-Mstrict', '-we', $example) =~ s/^Using \S+blib\n//mr, qq{I am process 1, user 0\n},
    'and print what the README says';

my ($test) = $readme =~ /^    (perl Makefile\.PL && make test)$/m;
ok $test, 'the test command';
like slurp(top() . '/.ci/run'), qr/\Q$test\E/, 'is what .ci/run calls';
like $readme, qr/^    perl Makefile\.PL && make demo$/m, 'the demonstration';

my ($perl) = slurp(top() . '/Makefile.PL') =~ /^use 5\.0*(\d+);/m;
like $readme, qr/perl 5\.$perl or newer/, "Makefile.PL's perl";
my ($rust) = slurp(top() . '/Cargo.toml') =~ /^rust-version = "(.+)"/m;
like $readme, qr/Rust \Q$rust\E or newer/, "Cargo.toml's Rust";

# the README and the manual
my $manual = slurp(top() . '/lib/Linux/Clone.pm') =~ s/^.*?^=head1 NAME$//msr;
my ($name) = $manual =~ /\A\n+(Linux::Clone - .+)\n/;
like $readme, qr/\A\Q$name\E\n/, "the manual's name of it";
my %items = map { $_ => 1 } $manual =~ /^=(?:item|head2) ([A-Z_a-z]\w*)$/mg;
my %named = map { s/^Linux::Clone::|^CLONE_//r => 1 } $readme =~ /(?<!\$)\b(Linux::Clone::\w+|CLONE_[A-Z]+|NEW[A-Z]+)\b/g;
cmp_ok scalar(keys %named), '>', 2, 'names in it';
is_deeply [ grep { !$items{$_} && !-e top() . "/lib/Linux/Clone/$_.pod" } sort keys %named ], [], 'that the manual has';
like $_, qr/under\s+the\s+same\s+terms\s+as\s+Perl\s+itself/i, 'the license' for $readme, $manual;

# the crates that it asks for
my $cargo  = join '', map { slurp(top() . "/$_") } qw(Cargo.toml perlxs-rs/Cargo.toml);
my @crates = sort map { /^([\w-]+) = "/mg } $cargo =~ /^\[(?:build-)?dependencies\]\n((?:.+\n)+)/mg;
my ($told) = $readme =~ /\bcrates ((?:\w+, )*\w+ and \w+) are in the tarball/;
is_deeply [ sort split /, | and /, $told // '' ], \@crates, "the crates: @crates";

is_deeply [ grep { length > 80 || /[^ -~]/ } split /\n/, $readme ], [], 'plain text, 80 columns';

done_testing;
