# valgrind's memcheck over clone, unshare and their failures, and over perlxs's own tests. The whole
# suite is xt/stress/memcheck.t's.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use AuthorTest;
use Memcheck;

my $tests = top() . '/perlxs-rs/tests';

build();
for ([ 'clone and unshare', top() . '/xt/author/lib/paths.pl', 3 ],
    map { my $file = s{^.*/(t/)}{$1}r; [ "perlxs: $file", $file ] } glob "$tests/t/*.t")
{
    my ($name, @script) = @$_;
    my ($status, $output) = memcheck($name, $tests, @script);
    is $status, 0, 'exits with 0' or diag $output;
    unlike $output, qr/^not ok|, not /m, 'as it does without valgrind';
}

done_testing;
