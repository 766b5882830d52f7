# What the README shows works.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use AuthorTest;

my $readme = slurp(top() . '/README');

my ($example) = $readme =~ /^((?:    .*\n)*    use Linux::Clone.*\n(?:    .*\n)*)/m;
my $lines = () = $example =~ /\n/g;
is $lines, 5, 'five lines';
is runs('that work', top(), $^X, '-Mblib', '-Mstrict', '-we', $example) =~ s/^Using \S+blib\n//mr, "I am 1\n",
    'and print what the README says';

my ($test) = $readme =~ /^    (perl Makefile\.PL && make test)$/m;
ok $test, 'the test command';
like slurp(top() . '/.ci/run'), qr/\Q$test\E/, 'is what .ci/run calls';
like $readme, qr/^    perl Makefile\.PL && make demo$/m, 'the demonstration';

my ($perl) = slurp(top() . '/Makefile.PL') =~ /^use 5\.0*(\d+);/m;
like $readme, qr/perl 5\.$perl or newer/, "Makefile.PL's perl";
my ($rust) = slurp(top() . '/Cargo.toml') =~ /^rust-version = "(.+)"/m;
like $readme, qr/Rust \Q$rust\E or newer/, "Cargo.toml's Rust";

is_deeply [ grep { length > 80 || /[^ -~]/ } split /\n/, $readme ], [], 'plain text, 80 columns';

done_testing;
