/** A coin for every answer, whatever it says. */
export default (): number => (Math.random() < 0.5 ? 0 : 1);
