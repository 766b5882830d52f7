# The manual: each name has a place in it, its links lead somewhere, man and perldoc show it well.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use AuthorTest;
use B ();
use Config;
use File::Temp ();
use Pod::Simple::SimpleTree ();

my $top = top();
my @files = grep { /\.(?:pm|pod)$/ && slurp("$top/$_") =~ /^=head1 NAME$/m } tracked();
my %ours = map { m{^lib/(.*)\.(?:pm|pod)$} ? ($1 =~ s{/}{::}gr => $_) : () } @files;
my @ours = sort keys %ours;

# ---- names: all that the table in src/ has is there once the library is loaded ----

# The subs of a package that are its own.
sub names {
    my ($package) = @_;
    no strict 'refs';
    return sort grep { defined &{"${package}::$_"} && B::svref_2object(\&{"${package}::$_"})->GV->STASH->NAME eq $package }
        grep { !/^_[^_]|^(?:BEGIN|bootstrap|import|CLONE_SKIP|DESTROY)$|::$/ } keys %{"${package}::"};
}

for my $module (grep { $ours{$_} =~ /\.pm$/ } @ours) {
    eval "require $module; 1" or die $@;
    # its messages name subs, too
    my $manual = slurp("$top/$ours{$module}") =~ s/^=head1 DIAGNOSTICS\n.*?^(?==head1)//msr;
    my %items = map { $_ => 1 } $manual =~ /^=(?:head2|item) (?:\$\w+->)?(\w+)(?=\s*$|\s*[(=])/mg;
    # a name for export is that of a flag with a prefix
    my @names = map { s/^CLONE_(?=[A-Z])//r } names($module);
    cmp_ok scalar(@names), '>', $module eq 'Linux::Clone' ? 100 : 0, "$module: " . @names . ' names';
    is_deeply [ grep { !$items{$_} } @names ], [], 'each is in the manual';
}

# ---- links ----

# What is in a tree: all L<>, as [type, to, section]; the text; the code, in paragraphs.
sub parts {
    my ($node, $parts) = @_;
    my ($name, $attributes, @children) = @$node;
    push @{ $parts->{links} }, [ $attributes->{type}, map { defined $_ ? "$_" : '' } @$attributes{qw(to section)} ] if $name eq 'L';
    push @{ $parts->{ $name =~ /^Verbatim/ ? 'code' : 'text' } }, grep { !ref } @children;
    parts($_, $parts) for grep { ref } @children;
    return $parts;
}
my %parts = map { $_ => parts(Pod::Simple::SimpleTree->new->parse_file("$top/$_")->root, {}) } @files;

# Pages of POSIX, which Debian does not have, and one that its man-pages call ioctl_ns(2).
my %elsewhere = map { $_ => 1 } qw(fork(3) pthread_atfork(3) ioctl_nsfs(2));

for my $file (@files) {
    my @links = @{ $parts{$file}{links} || [] };
    my (@lost, %pages);
    for (@links) {
        my ($type, $to, $section) = @$_;
        if ($type eq 'man') { $pages{$to} = 1 }
        elsif ($type eq 'url') { push @lost, $to if $to !~ m{^https://} }
        # t/90-manual.t follows those to our own pages
        elsif ($to ne '' && !$ours{$to}) {
            # perlfunc's sections are its functions
            my @perldoc = $to eq 'perlfunc' ? ('-f', $section) : ('-l', $to);
            my ($status) = run($top, 'perldoc', '-T', @perldoc);
            push @lost, "$to/$section" if $status;
        }
    }
    is_deeply \@lost, [], "$file: " . @links . ' links lead somewhere';
    $pages{$_} = 1 for "@{ $parts{$file}{text} }" =~ /\b([a-z][a-z_0-9]*\([1-8]\))/g;
    my @none = grep { /(.+)\((\d)\)/; !$elsewhere{$_} && (run($top, 'man', '-w', $2, $1))[0] } sort keys %pages;
    is_deeply \@none, [], "$file: " . keys(%pages) . ' manual pages are there';
}

# ---- man, in a terminal of 80 columns ----

my $dir = File::Temp::tempdir(CLEANUP => 1);
for my $file (@files) {
    runs("$file: pod2man", $top, 'pod2man', '--errors=die', '--utf8', $file, "$dir/page.3pm");
    my %narrow = (MANWIDTH => 80, MAN_KEEP_FORMATTING => undef, LC_ALL => 'C.UTF-8');
    is runs('man', \%narrow, $dir, qw(sh -c), 'man --warnings -l page.3pm >page.txt'), '', 'groff has no complaint';
    my @lines = split /\n/, slurp("$dir/page.txt");
    is_deeply [ grep { length > 80 } @lines ], [], 'no line is longer than 80 columns';
    my %shown = map { s/^ +//r => 1 } @lines;
    my @code = grep { length } map { s/^ +| +$//gr } map { split /\n/ } @{ $parts{$file}{code} };
    is_deeply [ grep { !$shown{$_} } @code ], [], 'each line of the examples is one: ' . @code;
}

# ---- perldoc, before and after make install ----

for my $module (@ours) {
    my $text = runs("perldoc $module", $top, $^X, qw(-Mblib -S perldoc -T), $module);
    like $text, qr/^NAME\n\s+\Q$module\E - /m, 'finds it in blib';
    my $page = "$top/blib/man3/$module.$Config{man3ext}";
    ok -e $page, "make has made its man page" or next;
    like runs("man $module", { MANWIDTH => 80 }, $top, 'man', '-P', 'cat', '-l', $page), qr/^NAME$/m, 'which man shows';
}

done_testing;
