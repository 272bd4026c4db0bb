package fault

import "testing"

func TestKindNames(t *testing.T) {
	t.Parallel()
	for k := Internal; k <= Local; k++ {
		if _, ok := kindNames[k]; !ok {
			t.Errorf("kind %d has no name", k)
		}
		if got := ParseKind(k.String()); got != k {
			t.Errorf("ParseKind(%q) = %v", k, got)
		}
	}
	if got := ParseKind("no such kind"); got != Internal {
		t.Errorf("an unknown name is %v, want Internal", got)
	}
}
